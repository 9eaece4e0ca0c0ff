from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moodflix import vocabulary
from moodflix.perception import face
from tests import faces
from tests.faces import CALM, DOUBTFUL, LAUGHING, LOOKING_DOWN, SMILING
from tests.server import ROOT

pytestmark = faces.needs_npm


@pytest.mark.parametrize(
    ("who", "mood"),
    [(SMILING, "happy"), (LAUGHING, "happy"), (LOOKING_DOWN, "sad"), (CALM, "neutral")],
)
def test_it_reads_the_mood_of_a_face(who: tuple[int, int, int], mood: str) -> None:
    read = face.read([faces.frame(who)])
    assert (read.label, read.missing) == (mood, "")
    assert read.confidence == read.scores[mood] > 0.5
    assert set(read.scores) == set(vocabulary.MOODS)
    assert read.details == {
        "frames": [{"label": mood, "confidence": round(read.confidence, 3)}],
        "read": 1,
        "dropped": 0,
        "faces": 1,
    }


@pytest.mark.parametrize("sent", [20, 64])
def test_it_samples_eight_frames_from_first_to_last(sent: int) -> None:
    early = face.read([faces.frame(SMILING)] * (sent // 2) + [faces.wall()] * (sent // 2))
    assert len(early.details["frames"]) == 4
    assert (early.details["read"], early.details["dropped"]) == (8, 0)
    late = face.read([faces.wall()] * (sent // 2) + [faces.frame(SMILING)] * (sent // 2))
    assert late.details == early.details


def test_the_frames_of_a_request_are_averaged() -> None:
    [smiling, calm] = ([faces.frame(who)] for who in (SMILING, LAUGHING))
    both, one, other = face.read(smiling + calm), face.read(smiling), face.read(calm)
    # They are close enough to each other in the frame to be one person.
    assert len(both.details["frames"]) == 2
    for mood, score in both.scores.items():
        low, high = sorted((one.scores[mood], other.scores[mood]))
        assert low < score < high


def test_the_confidence_falls_with_the_frames_that_lack_the_face() -> None:
    always = face.read([faces.frame(SMILING)] * 8)
    sometimes = face.read([faces.frame(SMILING)] * 6 + [faces.wall()] * 2)
    assert sometimes.confidence == pytest.approx(always.confidence * 6 / 8)
    assert sometimes.scores == pytest.approx(always.scores)


def test_no_face_in_most_frames_is_no_face() -> None:
    read = face.read([faces.frame(SMILING)] * 3 + [faces.wall()] * 5)
    assert (read.missing, read.confidence, read.scores) == ("no_face", 0.0, {})
    assert len(read.details["frames"]) == 3


def test_walls_and_noise_have_no_face() -> None:
    read = face.read(
        [faces.noise(seed) for seed in range(4)] + [faces.wall(9 * n) for n in range(4)]
    )
    assert (read.missing, read.confidence) == ("no_face", 0.0)
    assert read.details == {"frames": [], "read": 8, "dropped": 0, "faces": 0}


def test_no_frames_are_no_face() -> None:
    read = face.read([])
    assert (read.missing, read.confidence) == ("no_face", 0.0)


@pytest.mark.parametrize(("scales", "mood"), [((1.0, 0.6), "happy"), ((0.6, 1.0), "sad")])
def test_the_largest_of_several_faces_counts(scales: tuple[float, float], mood: str) -> None:
    people = zip((SMILING, LOOKING_DOWN), scales, strict=True)
    read = face.read([faces.beside(*people)])
    assert read.label == mood
    assert read.details["faces"] == 2


@pytest.mark.parametrize("way", [1, -1])
def test_the_largest_face_is_followed_while_it_shrinks(way: int) -> None:
    frames = [
        faces.beside((SMILING, scale), (LOOKING_DOWN, 0.9))
        for scale in (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.55)
    ]
    # In the last of them alone the other face is the larger one.
    assert face.read(frames[-1:]).label == "sad"
    read = face.read(frames[::way])
    assert {each["label"] for each in read.details["frames"]} == {"happy"}


def test_nobody_takes_the_place_of_who_has_left() -> None:
    frames = [faces.beside((SMILING, 1.0), (LOOKING_DOWN, 0.6))] * 5
    frames += [faces.beside((DOUBTFUL, 0.1), (LOOKING_DOWN, 0.6))] * 3
    read = face.read(frames)
    assert [each["label"] for each in read.details["frames"]] == ["happy"] * 5


def test_disgust_never_comes_first() -> None:
    read = face.read([faces.encoded(faces.view(DOUBTFUL).rotate(25), "PNG")])
    assert read.details["frames"][0]["label"] == "disgust"
    assert read.label not in ("disgust", "fear")
    assert read.scores["disgust"] < read.confidence < 0.4


def test_one_person_leaves_nothing_to_the_next() -> None:
    people = [[faces.frame(who)] for who in (SMILING, LOOKING_DOWN, CALM)]
    alone = [face.read(frames) for frames in people]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(face.read, people * 3))
    assert together == alone * 3


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A copy of the package, to be spoilt."""
    shutil.copytree(ROOT / "moodflix", tmp_path / "moodflix")
    return tmp_path


def asked(home: Path) -> list[str]:
    script = (
        "from moodflix.perception import face; "
        "print(face.read([b'']).missing, face.nets_problem(), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=home, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_it_says_how_to_install_the_nets(elsewhere: Path) -> None:
    shutil.rmtree(elsewhere / "moodflix" / "perception" / "weights")
    assert asked(elsewhere) == [
        "extra_missing",
        "the face nets are not installed; run: sudo apt-get install npm, then make run",
    ]


def test_it_says_how_to_mend_the_nets(elsewhere: Path) -> None:
    weights = elsewhere / "moodflix" / "perception" / "weights" / "face_expression_model.bin"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert asked(elsewhere) == [
        "extra_missing",
        "the face nets are damaged; run: npm ci --omit=dev",
    ]


def test_it_is_available_once_npm_has_run() -> None:
    assert face.nets_problem() == ""


def test_what_it_needs_is_imported_when_first_used() -> None:
    script = "import sys, moodflix.perception.face; print(*({'numpy', 'PIL'} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
