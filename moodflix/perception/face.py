"""Reads a mood from the faces in camera frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from moodflix.perception.words import Reading

if TYPE_CHECKING:
    from moodflix.perception.face_nets import Face, Image

MAX_FRAMES_READ: Final = 8
# Of all frames together: eight of full HD, or a photo of 12 megapixels.
MAX_PIXELS: Final = 17_000_000
# The nets look at 224 pixels; a larger image only costs memory.
_MAX_SIDE = 1280
# A progressive JPEG has about ten; each costs a pass over the whole picture.
_MAX_SCANS = 32
# The net is overconfident; with its logits divided by this, its probabilities match its accuracy.
_TEMPERATURE = 3.2
# Recall is 6% for fear and 14% for disgust, so neither may rank first.
_LOW_RECALL = ("fear", "disgust")
# The farthest that a face moves between two frames, in its own size.
_MAX_STEP = 1.0
# In fewer of the frames there may be nobody.
_MIN_SHARE = 0.5


def nets_problem() -> str:
    """Return why the nets can't be used, and the command that helps; empty if they can."""
    from moodflix.perception.face_nets import load

    try:
        load()
    except FileNotFoundError:
        return "the face nets are not installed; run: sudo apt-get install npm, then make run"
    except (OSError, LookupError, ValueError):
        return "the face nets are damaged; run: npm ci --omit=dev"
    return ""


def read(frames: Sequence[bytes]) -> Reading:
    """Read the mood of the largest face, tracked over at most ``MAX_FRAMES_READ`` of the frames.

    Scores are the calibrated probabilities of the frames, averaged with the detector's scores as
    weights. The confidence is the highest score times the share of frames that show the face.

    Args:
        frames: JPEG or PNG files in order of time; others, and damaged ones, are dropped.

    Returns:
        Scores of the seven moods. ``missing`` is ``extra_missing`` (no nets), ``bad_image`` (no
        frame could be decoded) or ``no_face`` (in most frames). ``details``: ``frames`` (label and
        confidence of each frame with the face), ``read``, ``dropped``, and ``faces``, the most in
        one frame.
    """
    if nets_problem():
        return Reading(missing="extra_missing")
    from moodflix.perception.face_nets import EXPRESSIONS, detect, express

    images = _decoded(_sampled(frames))
    faces = [detect(image) for image in images]
    expressions = [
        (face.score, express(image, face, _TEMPERATURE))
        for image, face in zip(images, _track_face(faces), strict=True)
        if face
    ]
    details = {
        "frames": [_frame_json(moods) for _, moods in expressions],
        "read": len(images),
        "dropped": min(len(frames), MAX_FRAMES_READ) - len(images),
        "faces": max(map(len, faces), default=0),
    }
    if frames and not images:
        return Reading(missing="bad_image", details=details)
    share = len(expressions) / len(images) if images else 0
    if share < _MIN_SHARE:
        return Reading(missing="no_face", details=details)
    total = sum(weight for weight, _ in expressions)
    mean = {
        mood: sum(weight * moods[mood] for weight, moods in expressions) / total
        for mood in EXPRESSIONS
    }
    best = max(score for mood, score in mean.items() if mood not in _LOW_RECALL)
    # Kept just below the best, they still add to the scores of another signal.
    scores = mean | {mood: min(mean[mood], 0.99 * best) for mood in _LOW_RECALL}
    return Reading(scores, best * share, details=details)


def _frame_json(moods: Mapping[str, float]) -> dict[str, Any]:
    label = max(moods, key=lambda mood: moods[mood])
    return {"label": label, "confidence": round(moods[label], 3)}


def _sampled(frames: Sequence[bytes]) -> list[bytes]:
    """Return an evenly spaced sample of the frames."""
    count = min(len(frames), MAX_FRAMES_READ)
    return [frames[index * len(frames) // count] for index in range(count)]


def _track_face(frames: Sequence[Sequence[Face]]) -> list[Face | None]:
    """Return one person's face in each frame: that of the largest face in any, where it is seen.

    It is followed forwards and backwards from the frame in which it is largest.
    """
    track: list[Face | None] = [None] * len(frames)
    found = [(index, face) for index, faces in enumerate(frames) for face in faces]
    if not found:
        return track
    start, largest = max(found, key=lambda item: item[1].area)
    for indexes in (range(start, len(frames)), range(start, -1, -1)):
        last = largest
        for index in indexes:
            nearest = min(frames[index], key=last.distance_to, default=None)
            if nearest and last.distance_to(nearest) <= _MAX_STEP:
                track[index] = last = nearest
    return track


def _decoded(frames: Sequence[bytes]) -> list[Image]:
    """Decode the undamaged JPEGs and PNGs, up to ``MAX_PIXELS`` in total."""
    images = []
    left = MAX_PIXELS
    for frame in frames:
        try:
            image, pixels = _decode(frame, left)
        # Pillow raises all kinds of errors for a damaged file, struct.error among them.
        except Exception:  # noqa: BLE001, S112
            continue
        left -= pixels
        images.append(image)
    return images


def _decode(frame: bytes, max_pixels: int) -> tuple[Image, int]:
    import numpy as np
    from PIL import ImageOps
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    jpeg = frame.startswith(b"\xff\xd8\xff")
    if not jpeg and not frame.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("neither a JPEG nor a PNG")
    with (JpegImageFile if jpeg else PngImageFile)(BytesIO(frame)) as file:
        pixels = math.prod(file.size)
        if pixels > max_pixels or (jpeg and frame.count(b"\xff\xda") > _MAX_SCANS):
            raise ValueError("too much to decode")
        file.draft("RGB", (_MAX_SIDE, _MAX_SIDE))
        # Transparent pixels have a colour too; without this Pillow warns.
        file.info.pop("transparency", None)
        image = file.convert("RGB")
    image = image.reduce(max(1, max(image.size) // _MAX_SIDE))
    return np.asarray(ImageOps.exif_transpose(image)), pixels
