from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from PIL import Image

from moodflix.perception import worker
from tests import faces, voices
from tests.faces import CALM, LAUGHING, LOOKING_DOWN, SMILING
from tests.perceiving import perceived, text
from tests.server import PATIENCE, Served, ThreadedServer
from tests.voices import LIVELY

ABSENT = {"scores": {}, "confidence": 0, "missing": "not_sent", "frames": [], "read": 0}


@pytest.fixture(scope="module")
def station(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One station for all: nobody's answer may hang on what was sent before."""
    folder = tmp_path_factory.mktemp("station")
    shutil.copy(migrated, folder)
    served = ThreadedServer({"instance": folder, "llm": "embedded"}, folder / "server.log")
    yield served
    served.stop()


def smiles() -> bytes:
    return faces.frame(SMILING)


def in_lines(data: bytes) -> str:
    encoded = text(data)
    return "\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))


def url_safe(data: bytes) -> str:
    return text(data).translate(str.maketrans("+/", "-_")).rstrip("=")


def bomb() -> bytes:
    """A PNG of a gigapixel in a few kilobytes."""

    head = pack(">IIBBBBB", 32_000, 32_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(96_001) * 32, 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        faces.png_chunk(*each) for each in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    )


def turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return faces.encoded(faces.view(SMILING).transpose(Image.Transpose.ROTATE_90), exif=exif)


def drawn(kind: str) -> bytes:
    return faces.encoded(faces.view(SMILING, 256, 256), kind)


@faces.needs_npm
def test_what_todays_front_ends_send_is_read(station: Served) -> None:
    clip = voices.recorded("chrome", voices.speech(LIVELY))
    seen = perceived(station, {"images": [text(smiles())] * 20, "audio": text(clip)})
    assert seen["mood"]["label"] == "happy"
    assert (seen["mood"]["source"], seen["tone"]["source"]) == ("face", "voice")
    # An excited voice of a smiling person.
    assert seen["tone"]["label"] == "happy"
    face, voice = seen["face"], seen["voice"]
    assert (face["missing"], face["read"], face["dropped"], face["faces"]) == ("", 8, 0, 1)
    assert face["scores"]["happy"] == face["confidence"] == seen["mood"]["confidence"]
    assert [each["label"] for each in face["frames"]] == ["happy"] * 8
    assert all(0.5 < each["confidence"] <= 1 for each in face["frames"])
    assert (voice["missing"], voice["clips"], voice["read"]) == ("", 1, 1)
    assert sum(voice["scores"].values()) == pytest.approx(1, abs=0.002)
    assert seen["hand"]["missing"] == seen["words"]["missing"] == "not_sent"


@faces.needs_npm
@pytest.mark.parametrize(
    "sent",
    [
        lambda: text(smiles()),
        lambda: [text(smiles()), None, ""],
        lambda: [f"data:image/jpeg;base64,{text(smiles())}"],
        lambda: [f"data:image/png;charset=utf-8;base64,{text(smiles())}"],
        lambda: [in_lines(smiles())],
        lambda: [url_safe(smiles())],
        lambda: [text(faces.encoded(faces.view(SMILING), "PNG"))],
        lambda: [text(turned())],
    ],
)
def test_a_frame_is_read_in_every_form(station: Served, sent: Callable[[], Any]) -> None:
    seen = perceived(station, {"images": sent()})
    assert (seen["mood"]["label"], seen["face"]["read"]) == ("happy", 1)


@faces.needs_npm
@pytest.mark.parametrize(
    "make",
    [
        lambda: "data:,",
        lambda: "data:image/jpeg,%FF%D8",
        lambda: "this is *not* base64",
        lambda: text(smiles()[:9_000]),
        lambda: text(drawn("GIF")),
        lambda: text(drawn("TIFF")),
        lambda: text(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        lambda: text(bomb()),
        lambda: text(voices.speech()),
    ],
)
def test_a_frame_that_cannot_be_read_is_dropped_and_counted(
    station: Served, make: Callable[[], str]
) -> None:
    alone = perceived(station, {"images": [make()]})
    assert alone["mood"] == {"label": "neutral", "source": "none", "confidence": 0}
    assert (alone["face"]["missing"], alone["face"]["dropped"]) == ("bad_image", 1)
    among = perceived(station, {"images": [text(smiles()), make(), text(smiles())]})
    assert among["mood"]["label"] == "happy"
    assert (among["face"]["read"], among["face"]["dropped"]) == (2, 1)


@faces.needs_npm
def test_the_largest_of_several_faces_counts(station: Served) -> None:
    both = faces.beside((SMILING, 0.6), (LOOKING_DOWN, 1.0))
    seen = perceived(station, {"images": [text(both)] * 3})
    assert (seen["mood"]["label"], seen["face"]["faces"]) == ("sad", 2)


@faces.needs_npm
def test_a_wall_has_no_face(station: Served) -> None:
    seen = perceived(station, {"images": [text(faces.wall())] * 5})
    assert seen["mood"]["source"] == "none"
    assert (seen["face"]["missing"], seen["face"]["confidence"]) == ("no_face", 0)


@faces.needs_npm
def test_eight_of_64_frames_are_read_and_65_are_refused(station: Served) -> None:
    frames = [text(smiles())] * 65
    assert perceived(station, {"images": frames[:64]})["face"]["read"] == 8
    refused = station.post("/inference", {"images": frames})
    assert refused.status_code == 400
    assert [each["field"] for each in refused.json()["details"]] == ["images"]


@pytest.mark.parametrize("images", [[], None, "", [None, " "]])
def test_no_frames_are_not_sent(station: Served, images: Any) -> None:
    assert perceived(station, {"images": images})["face"] == ABSENT


@faces.needs_npm
def test_nothing_of_one_person_is_in_the_answer_to_the_next(station: Served) -> None:
    alone = perceived(station, {"images": [text(faces.frame(LOOKING_DOWN))]})
    clip = text(voices.speech(LIVELY))
    perceived(station, {"images": [text(smiles())] * 8, "audio": clip, "text": "so happy"})
    assert perceived(station, {"images": [text(faces.frame(LOOKING_DOWN))]}) == alone
    perceived(station, {"images": [text(smiles())] * 8, "mood": "happy"})
    wall = perceived(station, {"images": [text(faces.wall())]})
    assert (wall["mood"]["source"], wall["face"]["frames"]) == ("none", [])
    assert perceived(station, {})["face"] == ABSENT


@faces.needs_npm
def test_each_of_many_people_at_once_gets_their_own(
    station: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is, the last of them is read.
    monkeypatch.setattr(worker, "SECONDS", PATIENCE)
    people = [(SMILING, "happy"), (LOOKING_DOWN, "sad"), (CALM, "neutral"), (LAUGHING, "happy")] * 3
    bodies = [{"images": [text(faces.frame(who))] * (1 + n)} for n, (who, _) in enumerate(people)]
    with ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(lambda body: perceived(station, body), bodies))
    assert [seen["mood"]["label"] for seen in answers] == [mood for _, mood in people]
    assert [seen["face"]["read"] for seen in answers] == [min(n, 8) for n in range(1, 13)]


@pytest.mark.parametrize(
    "form",
    [
        text,
        in_lines,
        url_safe,
        lambda clip: f"data:audio/webm;base64,{text(clip)}",
        lambda clip: f"data:audio/webm;codecs=opus;base64,{text(clip)}",
        lambda clip: f'data:audio/webm; codecs="opus";base64,{in_lines(clip)}',
    ],
)
@pytest.mark.parametrize("browser", ["chrome", "firefox", "safari", "none"])
def test_a_clip_is_read_in_every_form(
    station: Served, form: Callable[[bytes], str], browser: str
) -> None:
    spoken = voices.speech(LIVELY)
    clip = spoken if browser == "none" else voices.recorded(browser, spoken)
    voice = perceived(station, {"audio": form(clip)})["voice"]
    assert (voice["missing"], voice["read"]) == ("", 1)
    assert voice["confidence"] > 0.5


def test_half_a_clip_is_read_as_far_as_it_goes(station: Served) -> None:
    clip = voices.recorded("chrome", voices.speech())
    whole, half = (
        perceived(station, {"audio": text(part)})["voice"]
        for part in (clip, clip[: len(clip) // 2])
    )
    assert half["missing"] == ""
    assert 1 < half["seconds"] < 0.7 * whole["seconds"]


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lambda: "data:,", "bad_audio"),
        (lambda: "this is *not* base64", "bad_audio"),
        (lambda: text(faces.wall()), "bad_audio"),
        (lambda: text(b"ffconcat version 1.0\nfile /etc/passwd\n"), "bad_audio"),
        (lambda: text(voices.recorded("chrome", voices.speech())[:40]), "bad_audio"),
        (lambda: text(voices.speech()[:16_000]), "too_short"),
        (lambda: text(voices.wav(0 * voices.samples(voices.speech())[0])), "no_speech"),
    ],
)
def test_a_clip_that_says_nothing_says_why(
    station: Served, make: Callable[[], str], missing: str
) -> None:
    seen = perceived(station, {"audio": make()})
    assert (seen["voice"]["missing"], seen["voice"]["confidence"]) == (missing, 0)
    assert seen["tone"] == {"label": "neutral", "source": "none", "confidence": 0}


@pytest.mark.parametrize("audio", [None, "", []])
def test_no_clip_is_not_sent(station: Served, audio: Any) -> None:
    assert perceived(station, {"audio": audio})["voice"]["missing"] == "not_sent"


@faces.needs_npm
def test_a_label_given_by_hand_wins_and_the_rest_is_told_beside_it(station: Served) -> None:
    seen = perceived(
        station, {"images": [text(smiles())], "mood": "nostalgic", "text": "I am so angry"}
    )
    assert seen["mood"] == {"label": "nostalgic", "source": "hand", "confidence": 1}
    assert seen["hand"] == {"scores": {"nostalgic": 1}, "confidence": 1, "missing": ""}
    assert max(seen["words"]["scores"]) == "angry"
    assert seen["face"]["scores"]["happy"] > 0.5


@faces.needs_npm
def test_a_face_changes_what_comes_as_a_word_does(station: Served) -> None:
    def films(body: dict[str, Any]) -> list[str]:
        movies: list[str] = station.post("/inference", body | {"seed": 1}).json()["movies"]
        return movies

    smiling = films({"images": [text(smiles())] * 3})
    assert smiling == films({"mood": "happy"})
    assert smiling != films({})


@faces.needs_npm
def test_a_stream_begins_with_what_was_perceived(station: Served) -> None:
    body = {"images": [text(smiles())] * 3, "limit": 2}
    headers = {"Accept": "text/event-stream"}
    with station.http.stream("POST", "/inference", json=body, headers=headers) as answered:
        lines = [line for line in answered.iter_lines() if line]
    assert lines[0] == "event: perceived"
    assert '"label": "happy", "source": "face"' in lines[1]
