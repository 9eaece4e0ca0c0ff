"""Held against the npm package itself, run by Node on the same pixels."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from moodflix.perception import face_nets
from tests import faces
from tests.server import ROOT

pytestmark = faces.needs_npm

# Theirs where it differs from ours.
NAMES = {"fear": "fearful", "disgust": "disgusted", "surprise": "surprised"}
# Of cuts of each photo: left, top, width, height, and how many times smaller. Tall, wide, odd; in
# some a face is larger than what the nets look at, in some it is smaller.
CUTS = [
    (900, 0, 640, 480, 1), (900, 0, 640, 480, 4), (250, 180, 640, 480, 3), (480, 200, 481, 640, 1),
    (1200, 100, 600, 500, 1), (1020, 240, 233, 300, 1), (1400, 250, 401, 140, 1),
]  # fmt: skip


def as_decoded_by_node(path: Path) -> Any:
    return np.asarray(Image.open(path.with_name(f"{path.name}.ppm")))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[dict[str, Any]]]:
    """What the package finds in its demo photos and in cuts of them."""
    folder = tmp_path_factory.mktemp("parity")
    paths = [folder / f"{number}.jpg" for number in range(1, 7)]
    for number, path in enumerate(paths, 1):
        shutil.copy(faces.DEMO / f"sample{number}.jpg", path)
    for number in range(1, 7):
        for place, (left, top, width, height, smaller) in enumerate(CUTS):
            cut = faces.photo(number).crop((left, top, left + width, top + height))
            paths.append(folder / f"{number}-{place}.jpg")
            paths[-1].write_bytes(faces.encoded(cut.reduce(smaller)))
    done = subprocess.run(
        ["node", ROOT / "tests" / "face_parity.mjs", "0", *paths],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [json.loads(line)["faces"] for line in done.stdout.splitlines()]
    return dict(zip(paths, found, strict=True))


def test_the_detector_is_that_of_the_package(theirs: dict[Path, list[dict[str, Any]]]) -> None:
    for path, expected in theirs.items():
        found = face_nets.detect(as_decoded_by_node(path))
        assert [face.score for face in found] == pytest.approx(
            [face["score"] for face in expected], abs=1e-4
        )
        for face, other in zip(found, expected, strict=True):
            for side in ("x", "y", "width", "height"):
                assert getattr(face, side) == pytest.approx(other[side], abs=0.05)
    assert sum(map(len, theirs.values())) >= 20


def test_the_expressions_are_those_of_the_package(
    theirs: dict[Path, list[dict[str, Any]]],
) -> None:
    moods = set()
    for path, expected in theirs.items():
        image = as_decoded_by_node(path)
        for other in expected:
            box = (other[side] for side in ("x", "y", "width", "height"))
            read = face_nets.express(image, face_nets.Face(other["score"], *box))
            moods.add(max(read, key=lambda mood: read[mood]))
            for mood, score in read.items():
                assert score == pytest.approx(other["expressions"][NAMES.get(mood, mood)], abs=1e-3)
    assert len(moods) >= 3
