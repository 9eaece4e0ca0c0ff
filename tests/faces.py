"""Frames with real faces: the demo photos of the npm package whose nets read them."""

from __future__ import annotations

import io
import zlib
from functools import cache
from struct import pack
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.server import ROOT

DEMO = ROOT / "node_modules" / "@vladmandic" / "face-api" / "demo"
WEIGHTS = ROOT / "moodflix" / "perception" / "weights"
needs_npm = pytest.mark.skipif(
    not (DEMO.exists() and any(WEIGHTS.glob("*.bin"))),
    reason="npm has not installed the face nets; make test says how",
)
# The number of a photo and the middle of a face in it.
SMILING = (3, 1136, 387)
LAUGHING = (6, 769, 515)
LOOKING_DOWN = (2, 968, 382)
CALM = (6, 1256, 491)
DOUBTFUL = (3, 675, 504)


@cache
def photo(number: int) -> Image.Image:
    return Image.open(DEMO / f"sample{number}.jpg").convert("RGB")


def view(who: tuple[int, int, int], width: int = 640, height: int = 480) -> Image.Image:
    """Cut a frame with a face in its middle."""
    number, x, y = who
    left, top = x - width // 2, y - height // 2
    return photo(number).crop((left, top, left + width, top + height))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def frame(who: tuple[int, int, int]) -> bytes:
    return encoded(view(who))


def wall(shade: int = 90) -> bytes:
    """A frame without a face."""
    return encoded(Image.new("RGB", (640, 480), (shade, 120, 200)))


def noise(seed: int) -> bytes:
    grains = np.random.default_rng(seed).integers(0, 256, (480, 640, 3), np.uint8)
    return encoded(Image.fromarray(grains))


def beside(*people: tuple[tuple[int, int, int], float]) -> bytes:
    """A frame with people side by side, each at a scale."""
    canvas = Image.new("RGB", (720, 480), (60, 60, 60))
    width = 720 // len(people)
    for place, (who, scale) in enumerate(people):
        seen = view(who, 360, 360)
        seen = seen.resize((int(360 * scale), int(360 * scale)))
        margin = (width - seen.width) // 2
        canvas.paste(seen, (place * width + margin, (480 - seen.height) // 2))
    return encoded(canvas)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))
