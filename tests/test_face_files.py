from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moodflix.perception import face
from tests import faces
from tests.faces import SMILING
from tests.server import ROOT

pytestmark = faces.needs_npm

# The tag of EXIF, and what turns an upright image into what a camera held so would store.
ORIENTATION = 274
TURNS = {
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_it_turns_a_photo_as_its_exif_says(orientation: int) -> None:
    upright = faces.view(SMILING)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned = upright.transpose(TURNS[orientation])
    read = face.read([faces.encoded(turned, exif=exif.tobytes())])
    assert read.confidence == pytest.approx(face.read([faces.frame(SMILING)]).confidence, abs=0.05)
    assert face.read([faces.encoded(turned)]).label != "happy"


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGBA", {}),
        ("L", {}),
        ("LA", {}),
        ("P", {"transparency": bytes(range(256))}),
    ],
)
def test_a_png_is_read(mode: str, options: dict[str, Any]) -> None:
    png = faces.encoded(faces.view(SMILING).convert(mode), "PNG", **options)
    assert face.read([png]).label == "happy"


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_any_jpeg_is_read(options: dict[str, Any]) -> None:
    assert face.read([faces.encoded(faces.view(SMILING), **options)]).label == "happy"


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "BMP", "PPM", "ICO"])
def test_another_kind_of_image_is_bad(kind: str) -> None:
    read = face.read([faces.encoded(faces.view(SMILING, 256, 256), kind)])
    assert (read.missing, read.details["dropped"]) == ("bad_image", 1)


@pytest.mark.parametrize(
    "sent", [b"", b"\xff\xd8\xff", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" * 9]
)
def test_what_is_no_image_is_bad(sent: bytes) -> None:
    assert face.read([sent]).missing == "bad_image"


def test_a_truncated_frame_is_dropped_and_counted() -> None:
    whole = faces.frame(SMILING)
    read = face.read([whole, whole[: len(whole) // 2], whole])
    assert (read.details["read"], read.details["dropped"]) == (2, 1)
    assert read.confidence == pytest.approx(face.read([whole]).confidence)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_the_oddest_shape_has_no_face(size: tuple[int, int]) -> None:
    assert face.read([faces.encoded(Image.new("RGB", size))]).missing == "no_face"


def test_a_photo_of_twelve_megapixels_is_read_and_no_second_one() -> None:
    photo = faces.encoded(faces.view(SMILING).resize((4000, 3000)), quality=60)
    read = face.read([photo] * 3)
    assert read.label == "happy"
    assert (read.details["read"], read.details["dropped"]) == (1, 2)


def png_of(width: int, height: int, *, inflated: int) -> bytes:
    """A PNG that claims a size, with so many bytes of black behind it."""

    squeeze = zlib.compressobj(1)
    piece = bytes(1 << 20)
    black = b"".join(squeeze.compress(piece) for _ in range(inflated >> 20)) + squeeze.flush()
    head = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            faces.png_chunk(b"IHDR", head),
            faces.png_chunk(b"IDAT", black),
            faces.png_chunk(b"IEND", b""),
        )
    )


def test_a_bomb_is_not_decoded(tmp_path: Path) -> None:
    bomb = png_of(14_000, 14_000, inflated=200_000_000)
    liar = png_of(640, 480, inflated=200_000_000)
    assert len(bomb) < 1_000_000
    (tmp_path / "bomb.png").write_bytes(bomb)
    (tmp_path / "liar.png").write_bytes(liar)
    script = (
        "import resource, sys; from pathlib import Path; from moodflix.perception import face\n"
        "face.nets_problem()\n"
        "bombs = [Path(name).read_bytes() for name in sys.argv[1:]]\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = most()\n"
        "read = face.read(bombs)\n"
        "print(most() - before, read.missing)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "bomb.png", tmp_path / "liar.png"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    grown, missing = done.stdout.split()
    assert int(grown) < 100_000
    assert missing == "no_face"


def test_a_jpeg_of_endless_passes_is_not_decoded() -> None:
    whole = faces.encoded(faces.view(SMILING), progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert face.read([whole[:-2] + last * 5 + whole[-2:]]).label == "happy"
    assert face.read([whole[:-2] + last * 1000 + whole[-2:]]).missing == "bad_image"


def test_a_png_may_hold_what_starts_a_pass_of_a_jpeg() -> None:
    png = faces.encoded(faces.view(SMILING), "PNG")
    assert face.read([png + b"\xff\xda" * 100]).label == "happy"


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_frame_is_read_or_dropped(data: st.DataObject) -> None:
    small = faces.view(SMILING, 320, 320).resize((96, 96))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    kind = data.draw(st.sampled_from(["JPEG", "PNG"]))
    frame = bytearray(faces.encoded(small, kind, exif=exif.tobytes()))
    for _ in range(data.draw(st.integers(1, 6))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    read = face.read([bytes(frame[: data.draw(st.sampled_from([cut, len(frame)]))])])
    assert read.details["read"] + read.details["dropped"] == 1
    assert read.missing in {"", "no_face", "bad_image"}


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=12))
def test_bytes_of_any_kind_are_bad(sent: list[bytes]) -> None:
    heads = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b""]
    frames = [heads[place % 3] + each for place, each in enumerate(sent)]
    read = face.read(frames)
    assert (read.missing, read.details["dropped"]) == (
        "bad_image",
        min(len(sent), face.MAX_FRAMES_READ),
    )
