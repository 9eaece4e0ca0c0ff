from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import MakeApp
from tests.events import listening, streamed
from tests.fake_ollama import (
    Behaviour,
    FakeOllama,
    Handler,
    answer,
    begins,
    closes_early,
    ends_undone,
    errs,
    hangs,
    once_released,
    replies,
    resets,
    says,
    sends,
    thinks,
)
from tests.server import PATIENCE, GunicornServer, Serve, Served, ServeGunicorn, await_condition

TITLES = ["Paterson", "Mother", "Parasite"]
PEOPLE = 40
# One is being answered and four wait.
PLACES = 5
NO_FILM = answer()[: answer().index("2016")]
FAILS: tuple[Behaviour, ...] = (
    replies(404, {"error": "not found"}),
    replies(500, ["odd"]),
    replies(503, {"error": "server busy"}),
    resets,
    closes_early,
    begins(NO_FILM, resets),
    begins(NO_FILM, closes_early),
    begins(NO_FILM, errs),
    begins(NO_FILM, ends_undone),
    begins("", thinks),
    begins("", sends(b"<html>\n")),
    begins("", sends(b"\xff\xfe\n")),
    says("Sorry."),
    says(NO_FILM, "length"),
)


class OneAtATime:
    """Answers well once the test lets go, and counts how many asked at once."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, handler: Handler) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        once_released(says(answer()))(handler)
        with self._lock:
            self._now -= 1


@pytest.fixture
def single(ollama: FakeOllama) -> Iterator[OneAtATime]:
    ollama.default = behave = OneAtATime()
    yield behave
    ollama.released.set()


def ask(served: Served) -> httpx.Response:
    """Ask on a connection of its own."""
    with served.connect() as http:
        return http.post("/inference", json={})


def turned_away(people: list[Future[Any]]) -> list[Any]:
    """The answers of those who found no place: all but as many as there are places."""
    early = as_completed(people, timeout=PATIENCE)
    return [next(early).result() for _ in range(len(people) - PLACES)]


def test_of_forty_at_once_none_fails_and_logs_and_reads_go_on(
    serve: Serve, ollama: FakeOllama, single: OneAtATime
) -> None:
    served = serve(llm="auto")
    with ThreadPoolExecutor(PEOPLE) as pool:
        people: list[Future[Any]] = [
            pool.submit(lambda: streamed(served, {})[-1].data)
            if place % 2
            else pool.submit(lambda: ask(served).raise_for_status().json())
            for place in range(PEOPLE)
        ]
        early = turned_away(people)
        for place in range(20):
            assert served.post("/inference/log", {"movieTitle": f"Film {place}"}).is_success
            assert len(served.get("/inference/log?limit=1").json()) == 1
        assert sum(each.done() for each in people) == PEOPLE - PLACES
        ollama.released.set()
        got = [each.result() for each in people]
    assert all(len(each["movies"]) == 10 for each in got)
    for each in early:
        assert each["llm"]["status"] == "unavailable"
        assert each["llm"]["detail"].startswith("too many people are asking at once")
    assert sum(each["llm"]["status"] == "used" for each in got) == PLACES
    assert len(ollama.requests) == PLACES
    assert single.most == 1
    # Those turned away are no failures of the LLM's.
    assert served.get("/readyz").json()["recommenders"]["llm"] == {"status": "up", "detail": ""}
    assert served.post("/inference", {}).json()["llm"]["status"] == "used"


def test_in_ollama_mode_who_is_turned_away_hears_when_to_come_back(
    serve: Serve, ollama: FakeOllama, single: OneAtATime
) -> None:
    served = serve(llm="ollama")
    with ThreadPoolExecutor(PEOPLE) as pool:
        people: list[Future[Any]] = [pool.submit(ask, served) for _ in range(PEOPLE)]
        for each in turned_away(people):
            assert each.status_code == 503
            assert int(each.headers["Retry-After"]) >= 1
            assert each.headers["Access-Control-Allow-Origin"] == "*"
            assert each.json()["error"].startswith("Ollama failed: too many people")
        ollama.released.set()
        statuses = [each.result().status_code for each in people]
    assert statuses.count(200) == PLACES
    assert single.most == 1


@pytest.mark.parametrize("mode", ["auto", "ollama"])
def test_after_failures_in_a_row_the_llm_is_skipped(
    serve: Serve, ollama: FakeOllama, mode: str
) -> None:
    ollama.then(*[replies(500)] * 2, says(answer()), *[replies(500)] * 3)
    served = serve(llm=mode, llm_breaker=3)
    failed = {"auto": 200, "ollama": 500}[mode]
    for expected in (failed, failed, 200, failed, failed, failed):
        assert served.post("/inference", {}).status_code == expected
    skipped = "skipped after 3 failures in a row; try again in "
    for _ in range(3):
        got = served.post("/inference", {})
        if mode == "ollama":
            assert got.status_code == 503
            assert 1 <= int(got.headers["Retry-After"]) <= 5
            assert got.json()["error"].startswith(f"Ollama failed: {skipped}")
        else:
            assert got.status_code == 200
            assert len(got.json()["movies"]) == 10
            assert got.json()["llm"]["status"] == "unavailable"
            assert got.json()["llm"]["detail"].startswith(skipped)
    assert len(ollama.requests) == 6
    ready = served.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["recommenders"]["llm"]["detail"].startswith("circuit breaker ")


def test_a_trial_that_works_ends_the_skipping(
    make_app: MakeApp, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodflix.recommend.llm.limits._FIRST_PAUSE", 0.0)
    ollama.then(replies(500), replies(500), says(answer()))
    client = make_app(llm="auto", llm_breaker=1).test_client()

    def state() -> str:
        return str(client.get("/readyz").get_json()["recommenders"]["llm"]["detail"])

    def status() -> str:
        return str(client.post("/inference", json={}).get_json()["llm"]["status"])

    assert status() == "unavailable"
    assert state() == "circuit breaker half-open"
    assert [status(), status()] == ["unavailable", "used"]
    assert state() == ""


def _worker(served: GunicornServer) -> Path:
    [pid] = served.children()
    return Path(f"/proc/{pid}")


def _counts(worker: Path) -> tuple[int, int]:
    """Threads and sockets of a process."""
    sockets = 0
    for each in (worker / "fd").iterdir():
        try:
            sockets += str(each.readlink()).startswith("socket:")
        except FileNotFoundError:  # closed since it was listed
            continue
    return len(list((worker / "task").iterdir())), sockets


def _busy_all_threads(served: Served, threads: int) -> None:
    """Make the server start every thread of its pool, so that later none is new."""
    head = (
        "POST /inference/log HTTP/1.1\r\nHost: station\r\nContent-Length: 2\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    held = [socket.create_connection(("127.0.0.1", served.port), PATIENCE) for _ in range(threads)]
    for each in held:
        each.sendall(head.encode())
    for each in held:
        # Said by the thread that now waits for the body.
        assert each.recv(100).startswith(b"HTTP/1.1 100")
    for each in held:
        each.sendall(b"{}")
        with each.makefile("rb") as heard:
            assert heard.readline().startswith(b"HTTP/1.1 400")
        each.close()


def test_two_hundred_failures_leave_no_thread_socket_or_place_behind(
    serve_gunicorn: ServeGunicorn, ollama: FakeOllama
) -> None:
    served = serve_gunicorn(llm="auto", llm_timeout=2, llm_breaker=0, llm_queue=0, threads=8)
    worker = _worker(served)
    _busy_all_threads(served, 8)
    assert served.post("/inference", {}).json()["llm"]["status"] == "used"
    assert streamed(served, {})[-1].data["llm"]["status"] == "used"
    settled: list[tuple[int, int]] = []

    def is_settled() -> bool:
        settled.append(_counts(worker))
        return len(settled) > 10 and len(set(settled[-10:])) == 1

    await_condition(is_settled, "the counts to settle")
    for turn, behave in zip(range(198), cycle(FAILS), strict=False):
        ollama.default = behave
        got = streamed(served, {})[-1].data if turn % 4 == 0 else ask(served).json()
        assert got["llm"]["status"] == "unavailable", turn
        assert got["llm"]["detail"], turn
    ollama.default = begins("", hangs)
    assert ask(served).json()["llm"]["status"] == "unavailable"
    with listening(served, {}) as stream:
        stream.until("picks")
        gone = stream.response.headers["X-Request-ID"]
    await_condition(lambda: gone in served.log, "the end of the request")
    ollama.default = says(answer())
    assert streamed(served, {})[-1].data["primary_llm"] == TITLES
    assert served.post("/inference", {}).json()["primary_llm"] == TITLES
    await_condition(
        lambda: _counts(worker) == settled[-1], f"threads and sockets as before, {settled[-1]}", 10
    )


def test_films_that_nobody_wants_are_no_failure(make_app: MakeApp, ollama: FakeOllama) -> None:
    client = make_app(llm="auto", llm_breaker=1).test_client()
    named = ["Paterson", "Mother", "Parasite"]
    for _ in range(2):
        body = client.post("/inference", json={"exclude": named}).get_json()
        assert body["llm"]["detail"] == "the LLM named no film that can be used"
    assert client.post("/inference", json={}).get_json()["llm"]["status"] == "used"
