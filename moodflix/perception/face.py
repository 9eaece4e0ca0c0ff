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
# For all frames together: eight of full HD, or a photo of 12 megapixels.
MAX_PIXELS: Final = 17_000_000
# The nets look at 224 pixels; a larger image only costs memory.
_MAX_SIDE = 1280
# A progressive JPEG has about ten; each costs a pass over the whole picture.
_MAX_SCANS = 32
# The net is overconfident; divided by this its probabilities match its hit rates.
_TEMPERATURE = 3.2
# Recall is 6% for fear and 14% for disgust, so neither may rank first.
_LOW_RECALL = ("fear", "disgust")
# How far one face moves between two frames, in its own size.
_MAX_STEP = 1.0


def nets_problem() -> str:
    """Return why the nets can't be used, and the command that helps; empty when they can."""
    from moodflix.perception.face_nets import load

    try:
        load()
    except FileNotFoundError:
        return "the face nets are not installed; run: sudo apt-get install npm, then make run"
    except (OSError, LookupError, ValueError):
        return "the face nets are damaged; run: npm ci --omit=dev"
    return ""


def read(frames: Sequence[bytes]) -> Reading:
    """Read the mood of the largest face, followed over at most ``MAX_FRAMES_READ`` of the frames.

    The calibrated probabilities of the frames are averaged, each weighted by the detector's
    score. The confidence is that of the mood that ranks first, times the share of frames that show
    the face.

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
    found = [detect(image) for image in images]
    seen = [
        (face.score, express(image, face, _TEMPERATURE))
        for image, face in zip(images, _followed(found), strict=True)
        if face
    ]
    details = {
        "frames": [_frame_json(moods) for _, moods in seen],
        "read": len(images),
        "dropped": min(len(frames), MAX_FRAMES_READ) - len(images),
        "faces": max(map(len, found), default=0),
    }
    if frames and not images:
        return Reading(missing="bad_image", details=details)
    if not seen or 2 * len(seen) < len(images):
        return Reading(missing="no_face", details=details)
    total = sum(weight for weight, _ in seen)
    mean = {
        mood: sum(weight * moods[mood] for weight, moods in seen) / total for mood in EXPRESSIONS
    }
    best = max(score for mood, score in mean.items() if mood not in _LOW_RECALL)
    # Kept just below the best, they still add to the scores of another signal.
    scores = mean | {mood: min(mean[mood], 0.99 * best) for mood in _LOW_RECALL}
    return Reading(scores, best * len(seen) / len(images), details=details)


def _frame_json(moods: Mapping[str, float]) -> dict[str, Any]:
    label = max(moods, key=lambda mood: moods[mood])
    return {"label": label, "confidence": round(moods[label], 3)}


def _sampled(frames: Sequence[bytes]) -> list[bytes]:
    """Return an evenly spaced sample of the frames."""
    count = min(len(frames), MAX_FRAMES_READ)
    return [frames[index * len(frames) // count] for index in range(count)]


def _followed(found: Sequence[Sequence[Face]]) -> list[Face | None]:
    """Return the face of one person in each frame: of the one whose face is largest in any."""
    track: list[Face | None] = [None] * len(found)
    _, start, largest = max(
        ((face.area, index, face) for index, faces in enumerate(found) for face in faces),
        key=lambda each: each[0],
        default=(0, 0, None),
    )
    for indexes in (range(start, len(found)), range(start, -1, -1)):
        last = largest
        for index in indexes:
            near = min(found[index], key=last.steps_to, default=None) if last else None
            if last and near and last.steps_to(near) <= _MAX_STEP:
                track[index] = last = near
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
