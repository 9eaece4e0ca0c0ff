from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.fake_ollama import FakeOllama, Handler, answer, says
from tests.server import PATIENCE, GunicornServer, Serve, ServeGunicorn, await_condition


@pytest.fixture
def slow(ollama: FakeOllama) -> Iterator[FakeOllama]:
    """An Ollama whose answers come only once the test sets `released`."""

    def behave(handler: Handler) -> None:
        handler.wait_for_release()
        says(answer())(handler)

    ollama.default = behave
    yield ollama
    ollama.released.set()


def await_calls(ollama: FakeOllama, times: int) -> None:
    await_condition(lambda: len(ollama.requests) >= times, f"{times} calls of the LLM")


def test_a_slow_llm_delays_neither_logs_nor_reads(
    serve_gunicorn: ServeGunicorn, slow: FakeOllama
) -> None:
    served = serve_gunicorn(llm="auto", threads=8, llm_parallel=4, llm_queue=0)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(served.post, "/inference", {}) for _ in range(20)]
        # Four ask the LLM; the others are answered without it.
        await_calls(slow, 4)
        for place in range(50):
            assert served.post("/inference/log", {"movieTitle": f"Film {place}"}).is_success
            assert len(served.get("/inference/log?limit=1").json()) == 1
        assert not slow.released.is_set()
        slow.released.set()
        got = [each.result().json() for each in answers]
    assert len(slow.requests) == 4
    statuses = sorted(each["llm"]["status"] for each in got)
    assert statuses == ["unavailable"] * 16 + ["used"] * 4
    assert all(each["movies"] for each in got)


def test_a_graceful_stop_finishes_what_is_in_flight(
    serve_gunicorn: ServeGunicorn, slow: FakeOllama
) -> None:
    served = serve_gunicorn(llm="ollama")
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(served.post, "/inference", {})
        await_calls(slow, 1)
        served.process.send_signal(signal.SIGTERM)
        await_condition(lambda: "Handling signal: term" in served.log, "the signal")
        slow.released.set()
        got = answering.result()
    assert got.status_code == 200
    assert got.json()["primary_llm"]
    assert served.wait_until_ended() == 0


def test_it_stops_after_the_idle_timeout_with_status_0(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn(idle_timeout=1)
    assert served.wait_until_ended() == 0
    assert "No Request, exiting..." in served.log


def test_an_answer_in_flight_is_not_idleness(
    serve_gunicorn: ServeGunicorn, slow: FakeOllama
) -> None:
    served = serve_gunicorn(llm="auto", idle_timeout=1)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(served.post, "/inference", {})
        await_calls(slow, 1)
        # Longer than the idle timeout: the event never comes, the wait is the point.
        assert not threading.Event().wait(3)
        assert "No Request" not in served.log
        slow.released.set()
        assert answering.result().json()["llm"]["status"] == "used"
    assert served.wait_until_ended() == 0


def test_a_taken_port_is_one_line_with_the_remedy(instance: Path, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        served = GunicornServer({"instance": instance, "port": port}, tmp_path / "log")
        assert served.wait_until_ended() == 1
        served.stop()
    last = served.log.splitlines()[-1]
    assert last.startswith(f"moodflix: port {port} of 127.0.0.1 can't be used")
    assert f"MOODFLIX_PORT={port + 1} make run" in last
    assert "Traceback" not in served.log


def test_it_learns_from_the_log_at_the_start(serve: Serve) -> None:
    first = serve(retrain_rows=1)
    for _ in range(30):
        assert first.post("/inference/log", {"movieTitle": "A Film Of Ours"}).is_success
    first.stop()
    second = serve()

    def learned() -> bool:
        context = second.get("/readyz").json()["recommenders"]["context"]
        return bool(context["detail"] == "learned from 30 choices")

    await_condition(learned, "the model")
    got = second.post("/inference", {}).json()
    picks = {pick["title"]: pick for pick in got["picks"]}
    assert picks["A Film Of Ours"]["sources"] == {"context": 1}
    assert picks["A Film Of Ours"]["why"] == "Chosen 30 times at this station."


LINE = re.compile(
    r"^\d{4}-\d\d-\d\d [\d:,]+ INFO moodflix\.request: "
    r"(?P<id>[0-9a-f]{32}) (?P<method>\w+) (?P<route>\S+) (?P<status>\d+) (?P<seconds>[\d.]+)s "
    r"llm=(?P<llm>\S+)(?: .*)?$",
    re.MULTILINE,
)


def test_it_writes_one_readable_line_a_request_and_no_body(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn()
    secret = "a-secret-nobody-may-read"
    answered = served.post("/inference", {"text": secret, "images": [secret], "audio": secret})
    served.get(f"/{secret}")
    served.get(f"/inference/log?limit={secret}")
    served.stop()
    lines = {found["id"]: found for found in LINE.finditer(served.log)}
    line = lines[answered.headers["X-Request-ID"]]
    assert (line["method"], line["route"]) == ("POST", "/inference")
    assert (line["status"], line["llm"]) == ("200", "off")
    assert [each["route"] for each in lines.values()].count("-") == 1
    assert secret not in served.log


def test_it_writes_json_lines_when_asked(serve: Serve) -> None:
    served = serve(log_format="json")
    answered = served.post("/inference", {})
    served.stop()
    lines = [json.loads(line) for line in served.log.splitlines()]
    [line] = [each for each in lines if each.get("id") == answered.headers["X-Request-ID"]]
    assert line["route"] == "/inference"
    assert line["status"] == 200
    assert line["llm"] == "off"
    assert line["seconds"] >= 0


def test_two_workers_serve_one_database(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn(workers=2)
    titles = [f"Film {place}" for place in range(40)]
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda title: served.post("/inference/log", {"movieTitle": title}), titles)
        assert all(each.is_success for each in done)
    rows = served.get("/inference/log?limit=100").json()
    assert sorted(row["movieTitle"] for row in rows) == sorted(titles)


def test_a_body_past_the_bound_gets_its_413(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn()
    answered = served.http.post("/inference", content=b" " * (17 * 1024 * 1024))
    assert answered.status_code == 413
    assert answered.json()["error"] == "Request Entity Too Large"
    assert answered.headers["Access-Control-Allow-Origin"] == "*"

    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 1024 * 1024

    assert served.http.post("/inference", content=chunks()).status_code == 413
    # gunicorn closes a connection whose body it did not read to the end.
    assert httpx.post(
        f"{served.url}/inference", json={}, timeout=PATIENCE, trust_env=False
    ).is_success


def test_nothing_crosses_the_fork(serve_gunicorn: ServeGunicorn, instance: Path) -> None:
    served = serve_gunicorn()
    assert served.post("/inference/log", {"movieTitle": "Mother"}).is_success
    arbiter = Path(f"/proc/{served.pid}")
    assert len(list((arbiter / "task").iterdir())) == 1
    opened = {str(each.readlink()) for each in (arbiter / "fd").iterdir()}
    assert [name for name in opened if name.startswith(str(instance))] == []
