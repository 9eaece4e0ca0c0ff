from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from moodflix.perception import worker
from tests import faces, voices
from tests.conftest import MakeApp
from tests.faces import SMILING
from tests.perceiving import end_reader, megabytes, perceived, reader, readers, text, ticks
from tests.server import Serve, ServeGunicorn, await_condition

SILENCE = np.zeros(2 * voices.RATE)
CLIP = {"audio": text(voices.wav(SILENCE))}


@pytest.fixture(autouse=True)
def no_reader() -> None:
    end_reader()


def large() -> str:
    """A frame that takes a tenth of a second."""
    return text(faces.encoded(faces.view(SMILING, 1600, 900), "PNG"))


def test_it_starts_with_the_first_clip_and_stays(serve: Serve) -> None:
    served = serve()
    perceived(served, {"text": "so happy"})
    assert list(readers(served.pid)) == []
    perceived(served, CLIP)
    first = reader(served)
    perceived(served, CLIP)
    assert reader(served) == first


def test_it_runs_one_thread_that_does_not_spin(serve: Serve) -> None:
    served = serve()
    perceived(served, {"images": [text(faces.wall())] * 8} | CLIP)
    assert len(list(Path(f"/proc/{reader(served)}/task").iterdir())) == 1


def test_it_ends_with_a_station_that_is_killed(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn()
    perceived(served, CLIP)
    pid = reader(served)
    served.kill()
    await_condition(lambda: not Path(f"/proc/{pid}").exists(), "the process to end")
    assert "Traceback" not in served.log


def test_it_is_started_again_when_it_has_died(serve: Serve) -> None:
    served = serve()
    before = perceived(served, CLIP)
    first = reader(served)
    os.kill(first, signal.SIGKILL)
    await_condition(lambda: "Z" in Path(f"/proc/{first}/stat").read_text(), "its end")
    assert perceived(served, CLIP) == before
    assert reader(served) != first


@faces.needs_npm
def test_its_death_midway_is_an_answer_with_the_reason(serve: Serve) -> None:
    served = serve()
    body = {"images": [large()] * 8, "text": "so happy"}
    whole = perceived(served, body)
    assert whole["face"]["read"] == 8
    first = reader(served)
    used = ticks(first)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(perceived, served, body)
        await_condition(lambda: ticks(first) > used + 5, "it to be at the frames")
        os.kill(first, signal.SIGKILL)
        seen = asked.result()
    assert (seen["face"]["missing"], seen["face"]["frames"]) == ("failed", [])
    assert seen["mood"]["source"] == "words"
    assert "reading a face broke off: EOFError" in served.log
    assert perceived(served, body) == whole


def test_while_it_reads_logs_are_saved_and_others_answered(serve: Serve) -> None:
    served = serve()
    whole = perceived(served, CLIP)
    os.kill(reader(served), signal.SIGSTOP)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(perceived, served, CLIP) for _ in range(4)]
        for _ in range(10):
            saved = served.post("/inference/log", {"movieTitle": "Paterson"})
            assert saved.json()["status"] == "ok"
        assert perceived(served, {"text": "so happy"})["mood"]["label"] == "happy"
        assert not any(each.done() for each in asked)
        os.kill(reader(served), signal.SIGCONT)
        assert [each.result() for each in asked] == [whole] * 4


def test_what_hangs_is_killed(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_app().test_client()

    def voice() -> str:
        missing: str = client.post("/inference", json=CLIP).get_json()["perceived"]["voice"][
            "missing"
        ]
        return missing

    assert voice() == "no_speech"
    [pid] = readers(os.getpid())
    os.kill(pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(worker, "SECONDS", 0.2)
        assert voice() == "failed"
    assert voice() == "no_speech"
    assert pid not in readers(os.getpid())


@faces.needs_npm
def test_no_request_takes_300_megabytes_or_two_seconds(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn()
    perceived(served, {"images": [text(faces.wall())]})
    [worker] = served.children()
    idle = {pid: megabytes(pid, "VmRSS") for pid in (worker, reader(served))}
    long = voices.encoded(voices.wav(np.tile(SILENCE, 300)), "webm", "libopus")
    photo = faces.encoded(faces.photo(3).resize((4600, 3690)), quality=60)
    for body in (
        {"images": [large()] * 5, "audio": text(long)},
        {"images": [text(photo)] + [large()] * 2},
        {"images": [text(faces.noise(1))] * 64},
    ):
        used = ticks(reader(served))
        perceived(served, body)
        assert ticks(reader(served)) - used < 200
    assert reader(served) in idle
    assert {pid: megabytes(pid, "VmHWM") - was < 300 for pid, was in idle.items()} == dict.fromkeys(
        idle, True
    )
