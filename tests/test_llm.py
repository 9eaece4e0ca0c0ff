from __future__ import annotations

import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from tests.fake_ollama import (
    FILMS,
    Behaviour,
    FakeOllama,
    Handler,
    answer,
    begins,
    closes_early,
    dribbles,
    dribbles_headers,
    ends_undone,
    errs,
    hangs,
    once_released,
    repeats,
    replies,
    resets,
    says,
    says_none,
    sends,
    thinks,
)
from tests.server import await_condition

MODEL = "llama3.2:3b"
ASK = {"mood": "sad", "limit": 10}
# Enough of the answer for two films, and for half of the third.
TWO_FILMS = answer()[: answer().index("Sharp")]
NO_FILM = answer()[: answer().index("2016")]

CUT = "the LLM's answer was cut short or malformed"
EMPTY = "the LLM's answer was empty"
LATE = "no complete answer within 1 s"
BROKE = "the connection to Ollama broke"
DIED = "Ollama broke off with an error"
FOREIGN = "what answers at OLLAMA_HOST does not speak Ollama's API"
NOT_PULLED = f"model '{MODEL}' is not pulled; run: ollama pull {MODEL}"
REDIRECT = "OLLAMA_HOST leads to a redirect; set it to where Ollama itself answers"
REFUSED = "Ollama is not reachable; is it running? start it with: ollama serve"
NO_USE = "the LLM named no film that can be used"
NO_ADDRESS = "OLLAMA_HOST is not an address"
CROWD = "too many people are asking at once; try again in 1 s"


@dataclass(frozen=True)
class Failure:
    """A way to fail, how often it is met in one answer, and what is said of it."""

    behave: Behaviour
    detail: str
    tries: int = 1
    timeout: float = 30


FAILURES = {
    "model not pulled": Failure(replies(404, {"error": f"model '{MODEL}' not found"}), NOT_PULLED),
    "busy": Failure(
        replies(503, {"error": "server busy"}), "Ollama is busy; try again in a moment"
    ),
    "server error": Failure(
        replies(500, {"error": "/usr/lib/ollama died"}), "Ollama answered HTTP 500"
    ),
    "server error that is a list": Failure(replies(500, ["odd"]), FOREIGN),
    "unauthorized": Failure(replies(401, {"error": "unauthorized"}), "Ollama answered HTTP 401"),
    "redirect to itself": Failure(replies(307, Location="/api/chat"), REDIRECT),
    "stall": Failure(hangs, LATE, timeout=1),
    "stall after the headers": Failure(begins("", hangs), LATE, timeout=1),
    "dribble in the headers": Failure(dribbles_headers, LATE, timeout=1),
    "dribble in a line": Failure(begins("", dribbles(b'{"model":"x')), LATE, timeout=1),
    "dribble of spaces": Failure(begins("", dribbles(b" ")), LATE, timeout=1),
    "cut before a film": Failure(says(NO_FILM), CUT, tries=2),
    "length before a film": Failure(says(NO_FILM, "length"), CUT, tries=2),
    "prose only": Failure(says("I am sorry, I know no films."), CUT, tries=2),
    "no films": Failure(says(answer([])), CUT, tries=2),
    "nonsense films": Failure(says(answer([{"title": ""}, {"year": 3}])), CUT, tries=2),
    "empty answer": Failure(says(""), EMPTY, tries=2),
    "empty stream": Failure(begins("", ends_undone), EMPTY, tries=2),
    "thinking only": Failure(begins("", thinks), EMPTY, tries=2),
    "content null": Failure(begins("", says_none), EMPTY, tries=2),
    "reset before the answer": Failure(resets, BROKE, tries=2),
    "reset in the answer": Failure(begins(NO_FILM, resets), BROKE, tries=2),
    "closed before the answer": Failure(closes_early, BROKE, tries=2),
    "closed in the answer": Failure(begins(NO_FILM, closes_early), BROKE, tries=2),
    "error line": Failure(begins("", errs), DIED),
    "error line in the answer": Failure(begins(NO_FILM, errs), DIED),
    "undone at the end": Failure(begins(NO_FILM, ends_undone), CUT, tries=2),
    "one token for ever": Failure(begins("", repeats("la " * 50)), CUT, tries=2),
    "HTML": Failure(begins("", sends(b"<html>127.0.0.1:9 works!</html>\n")), FOREIGN),
    "a list": Failure(begins("", sends(b"[1, 2]\n")), FOREIGN),
    "a number": Failure(begins("", sends(b"1\n")), FOREIGN),
    "no message": Failure(begins("", sends(b'{"model": "x", "done": false}\n')), FOREIGN),
    "blank line": Failure(begins("", sends(b"\n")), FOREIGN),
    "invalid UTF-8": Failure(begins("", sends(b"\xff\xfe\xc3\n")), FOREIGN),
    "deep nesting": Failure(begins("", sends(b"[" * 100_000 + b"\n")), FOREIGN),
    "5,000 digits": Failure(begins("", sends(b'{"done": %s}\n' % (b"9" * 5000))), FOREIGN),
    "a line of 9 MiB": Failure(begins("", sends(b" " * 9 * 1024 * 1024)), FOREIGN),
}
# What may strike after two films: what is said of it.
CUTS = {
    "cut": Failure(says(TWO_FILMS), CUT),
    "length": Failure(says(TWO_FILMS, "length"), CUT),
    "stall": Failure(begins(TWO_FILMS, hangs), LATE, timeout=1),
    "dribble": Failure(begins(TWO_FILMS, dribbles(b" ")), LATE, timeout=1),
    "reset": Failure(begins(TWO_FILMS, resets), BROKE),
    "closed": Failure(begins(TWO_FILMS, closes_early), BROKE),
    "error line": Failure(begins(TWO_FILMS, errs), DIED),
    "undone": Failure(begins(TWO_FILMS, ends_undone), CUT),
    "blank line": Failure(begins(TWO_FILMS, sends(b"\n")), FOREIGN),
    "invalid UTF-8": Failure(begins(TWO_FILMS, sends(b"\xff\n")), FOREIGN),
    "one token for ever": Failure(begins(TWO_FILMS, repeats("la " * 50)), CUT),
}
failures = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())


def _post(client: FlaskClient, status: int = 200, **more: object) -> Any:
    response = client.post("/inference", json=ASK | more)
    assert response.status_code == status, response.text
    return response.json


def _is_without_llm(body: Any) -> None:
    """Say that ten films came, from the station itself."""
    assert len(body["movies"]) == 10
    assert body["primary_llm"] == []
    assert all("llm" not in pick["sources"] for pick in body["picks"])


@failures
def test_in_auto_a_failure_leaves_the_stations_own_films_and_a_reason(
    make_app: MakeApp, ollama: FakeOllama, failure: Failure
) -> None:
    ollama.then(*[failure.behave] * failure.tries)
    body = _post(make_app(llm="auto", llm_timeout=failure.timeout).test_client())
    _is_without_llm(body)
    # Long before a call that hangs would end by itself.
    assert 0 <= body["llm"].pop("seconds") < Handler.timeout
    assert body["llm"] == {"status": "unavailable", "model": MODEL, "detail": failure.detail}
    assert len(ollama.requests) == failure.tries


@failures
def test_in_ollama_mode_a_failure_is_the_documented_500_with_a_safe_reason(
    make_app: MakeApp, ollama: FakeOllama, failure: Failure
) -> None:
    ollama.then(*[failure.behave] * failure.tries)
    body = _post(make_app(llm="ollama", llm_timeout=failure.timeout).test_client(), 500)
    assert body == {"error": f"Ollama failed: {failure.detail}"}
    assert len(ollama.requests) == failure.tries


@pytest.mark.parametrize("mode", ["auto", "ollama"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_films_complete_before_a_cut_are_kept(
    make_app: MakeApp, ollama: FakeOllama, cut: Failure, mode: str
) -> None:
    ollama.then(cut.behave)
    body = _post(make_app(llm=mode, llm_timeout=cut.timeout).test_client())
    assert body["primary_llm"] == ["Paterson", "Mother"]
    assert body["llm"]["status"] == "partial"
    assert body["llm"]["detail"] == cut.detail
    assert len(body["movies"]) == 10
    assert len(ollama.requests) == 1


GOOD = {
    "plain": says(answer()),
    "prose around": says(f"Here you are:\n```json\n{answer()}\n```\nEnjoy!"),
    "twins": says(answer([*FILMS, {"title": "MOTHER", "year": 2009, "why": "Again."}, FILMS[0]])),
    "a null in between": begins(answer()[:40], lambda handler: _goes_on(handler, None)),
    "thoughts in between": begins(answer()[:40], lambda handler: _goes_on(handler, "")),
}


def _goes_on(handler: Any, content: str | None) -> None:
    message = {"role": "assistant", "content": content, "thinking": "Hm."}
    handler.say("", message=message)
    handler.say(answer()[40:])
    handler.say_done()


@pytest.mark.parametrize("behave", GOOD.values(), ids=GOOD.keys())
def test_a_good_answer_is_used_each_film_once(
    make_app: MakeApp, ollama: FakeOllama, behave: Behaviour
) -> None:
    ollama.then(behave)
    body = _post(make_app(llm="auto").test_client())
    assert body["primary_llm"] == ["Paterson", "Mother", "Parasite"]
    assert (body["llm"]["status"], body["llm"]["detail"]) == ("used", "")
    assert {"Paterson", "Mother", "Parasite"} <= set(body["movies"])
    assert len(body["movies"]) == len(set(body["movies"])) == 10
    assert len(ollama.requests) == 1


@pytest.mark.parametrize("first", [says(""), says("Sorry."), resets, begins("", thinks)])
def test_a_second_try_that_works_is_all_that_is_seen(
    make_app: MakeApp, ollama: FakeOllama, first: Behaviour
) -> None:
    ollama.then(first, says(answer()))
    body = _post(make_app(llm="ollama").test_client())
    assert (body["llm"]["status"], body["llm"]["detail"]) == ("used", "")
    first_try, second_try = ollama.requests
    assert first_try["options"]["temperature"] < second_try["options"]["temperature"]


def test_films_that_are_excluded_or_liked_never_come_back(
    make_app: MakeApp, ollama: FakeOllama
) -> None:
    client = make_app(llm="auto").test_client()
    body = _post(client, movies=["the paterson (2016)"], exclude=["“MOTHER”"])
    assert body["primary_llm"] == ["Parasite"]
    assert not {"Paterson", "Mother"} & set(body["movies"])
    everything = [film["title"] for film in FILMS]
    body = _post(client, exclude=everything)
    _is_without_llm(body)
    assert not set(everything) & set(body["movies"])
    assert body["llm"]["detail"] == NO_USE
    assert len(ollama.requests) == 3


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("http://127.0.0.1:9", REFUSED),
        ("127.0.0.1:99999", NO_ADDRESS),
        ("http://[::1", NO_ADDRESS),
        ("gopher://127.0.0.1:9", NO_ADDRESS),
    ],
)
def test_a_host_that_is_not_there_is_said_with_the_remedy(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, host: str, detail: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", host)
    body = _post(make_app(llm="auto").test_client())
    _is_without_llm(body)
    assert (body["llm"]["status"], body["llm"]["detail"]) == ("unavailable", detail)
    body = _post(make_app(llm="ollama").test_client(), 500)
    assert body == {"error": f"Ollama failed: {detail}"}


def test_a_host_that_never_lets_in_is_not_reachable_within_the_deadline(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{full.getsockname()[1]}")
        body = _post(make_app(llm="auto", llm_timeout=1).test_client())
        # While who came before is still not let in.
        assert select.select([], [second], [], 0) == ([], [], [])
    _is_without_llm(body)
    assert body["llm"]["status"] == "unavailable"
    assert body["llm"]["detail"] == REFUSED


def test_a_redirect_takes_nothing_elsewhere(make_app: MakeApp, ollama: FakeOllama) -> None:
    with FakeOllama() as elsewhere:
        ollama.then(replies(307, Location=f"{elsewhere.url}/api/chat"))
        body = _post(make_app(llm="auto").test_client())
        assert body["llm"]["detail"] == REDIRECT
        assert elsewhere.requests == []


def test_a_proxy_of_the_environment_is_not_used(
    make_app: MakeApp, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    body = _post(make_app(llm="auto").test_client())
    assert body["llm"]["status"] == "used"


def test_embedded_asks_nobody(make_app: MakeApp, ollama: FakeOllama) -> None:
    client = make_app(llm="embedded").test_client()
    body = _post(client)
    _is_without_llm(body)
    assert body["llm"] == {"status": "off", "model": None, "detail": "", "seconds": 0}
    assert client.get("/readyz").status_code == 200
    assert ollama.requests == []


@pytest.mark.parametrize("mode", ["auto", "ollama"])
def test_who_comes_when_the_places_are_taken_is_turned_away_at_once(
    make_app: MakeApp, ollama: FakeOllama, mode: str
) -> None:
    app = make_app(llm=mode, llm_parallel=2, llm_queue=0)
    ollama.then(*[once_released(says(answer()))] * 2)
    with ThreadPoolExecutor(2) as people:
        waiting = [people.submit(_post, app.test_client()) for _ in range(2)]
        try:
            await_condition(lambda: len(ollama.requests) == 2, "both to be asking")
            if mode == "auto":
                body = _post(app.test_client())
                _is_without_llm(body)
                assert body["llm"]["detail"] == CROWD
            else:
                assert _post(app.test_client(), 503) == {"error": f"Ollama failed: {CROWD}"}
            assert len(ollama.requests) == 2
        finally:
            ollama.released.set()
        assert [each.result()["llm"]["status"] for each in waiting] == ["used", "used"]
    assert _post(app.test_client())["llm"]["status"] == "used"


def test_thirty_failures_leave_no_socket_thread_or_place_behind(
    make_app: MakeApp, ollama: FakeOllama
) -> None:
    client = make_app(llm="auto", llm_timeout=1, llm_breaker=0).test_client()
    assert _post(client)["llm"]["status"] == "used"
    await_condition(lambda: _handlers() == 0, "the fake server to come to rest")
    before = _open_files(), threading.active_count()
    kinds = ["model not pulled", "reset in the answer", "error line", "HTML", "a line of 9 MiB"]
    kinds += ["one token for ever", "cut before a film", "closed before the answer", "a list"]
    kinds += ["stall", "dribble in the headers", "dribble in a line"]
    for turn in range(30):
        # Of the slow ones two each are enough.
        failure = FAILURES[kinds[turn] if turn < len(kinds) else kinds[turn % 9]]
        ollama.default = failure.behave
        assert _post(client)["llm"]["status"] == "unavailable"
    ollama.default = says(answer())
    assert _post(client)["llm"]["status"] == "used"
    ollama.released.set()
    await_condition(lambda: _handlers() == 0, "the fake server to come to rest")
    assert (_open_files(), threading.active_count()) == before


def _handlers() -> int:
    return sum("process_request" in thread.name for thread in threading.enumerate())


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("status", "shown", "expected"),
    [
        (200, {"details": {}, "model_info": {}}, ("up", "")),
        (404, {"error": "not found"}, ("down", NOT_PULLED)),
        (200, ["odd"], ("down", FOREIGN)),
        (500, {"error": "/usr/lib died"}, ("down", "Ollama answered HTTP 500")),
    ],
)
def test_readiness_tells_of_the_llm_and_does_not_depend_on_it(
    make_app: MakeApp, ollama: FakeOllama, status: int, shown: object, expected: tuple[str, str]
) -> None:
    ollama.shown_status, ollama.shown = status, shown
    response = make_app(llm="ollama").test_client().get("/readyz")
    assert response.status_code == 200
    assert response.json is not None
    llm = response.json["recommenders"]["llm"]
    assert (llm["status"], llm["detail"]) == expected
