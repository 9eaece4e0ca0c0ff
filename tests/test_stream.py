from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.events import COMMENT, STREAM, StreamEvents, listening, streamed
from tests.fake_ollama import (
    FakeOllama,
    Handler,
    answer,
    begins,
    hangs,
    once_released,
    replies,
    says,
)
from tests.server import GunicornServer, Serve, ServeGunicorn, await_condition

Shared = tuple[GunicornServer, FakeOllama]
TITLES = ["Paterson", "Mother", "Parasite"]
# The words of a good answer, cut right behind each of its films.
FILMS = re.findall(r".*?\}(?=, \{|\])|.+", answer())
MFNP = {"protocol": "MFNP", "version": 1, "sender": "client", "message_type": "inference"}
CROWD = "too many people are asking at once; try again in 1 s"


class Steps:
    """Streams `pieces`, each further one only when the test says `go_on`."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces
        self._turns = threading.Semaphore(0)

    def go_on(self) -> None:
        self._turns.release()

    def __call__(self, handler: Handler) -> None:
        handler.begin_stream()
        for piece in self._pieces:
            handler.say(piece)
            self._turns.acquire(timeout=handler.timeout)
        handler.say("", done=True, done_reason="stop", eval_count=50, eval_duration=10**9)
        handler.end_stream()


class Watch:
    """Says `words`, then waits for the caller to hang up."""

    def __init__(self, words: str = "") -> None:
        self.gone = threading.Event()
        self._words = words

    def __call__(self, handler: Handler) -> None:
        begins(self._words, lambda each: None)(handler)
        try:
            heard = handler.connection.recv(1)
        except ConnectionError:
            heard = b""
        if heard == b"":
            self.gone.set()
        handler.close_connection = True


def counts_tokens(handler: Handler) -> None:
    handler.begin_stream()
    handler.say(answer())
    handler.say(
        "", done=True, done_reason="stop", eval_count=50, eval_duration=10**9, prompt_eval_count=321
    )
    handler.end_stream()


@pytest.fixture
def let_go(ollama: FakeOllama) -> Iterator[None]:
    """Whatever a test left waiting is released before its servers are stopped."""
    yield
    ollama.released.set()


def shape(value: Any) -> Any:
    """The keys and types of a JSON value."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value)


def _answers(served: GunicornServer) -> int:
    """How many answers are stored in the instance folder, where the log is too."""
    with closing(sqlite3.connect(served.log_path.parent / "moodflix.sqlite3")) as connection:
        return len(connection.execute("SELECT id FROM answers").fetchall())


@pytest.fixture(scope="module")
def gunicorn_and_llm(serve_shared_gunicorn: ServeGunicorn) -> Iterator[Shared]:
    """A real gunicorn, with an LLM that serves one person at a time."""
    with FakeOllama() as llm, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_HOST", llm.url)
        yield serve_shared_gunicorn(llm="auto", llm_queue=0), llm
        llm.assert_all_used()


def test_each_piece_comes_as_soon_as_it_is_known(gunicorn_and_llm: Shared) -> None:
    served, llm = gunicorn_and_llm
    steps = Steps(*FILMS)
    llm.then(steps)
    with listening(served, {"mood": "happy", "limit": 5}) as stream:
        name, perceived = stream.next()
        assert name == "perceived"
        assert perceived["mood"] == {"label": "happy", "source": "hand", "confidence": 1}
        name, own = stream.next()
        assert name == "picks"
        assert len(own["picks"]) == 5
        assert all("llm" not in pick["sources"] for pick in own["picks"])
        for place, title in enumerate(TITLES):
            # The LLM's next words are held back until this film is here.
            name, pick = stream.next()
            assert (name, pick["title"]) == ("pick", title), place
            assert pick.keys() == {"title", "year", "known", "why"}
            steps.go_on()
        steps.go_on()
        [(name, last)] = stream.rest()
    assert name == "answer"
    assert last["primary_llm"] == TITLES
    assert last["llm"]["status"] == "used"
    assert last["perceived"]["mood"] == perceived["mood"]
    assert [pick["title"] for pick in last["picks"]] == last["movies"]


def test_a_chosen_candidate_comes_under_its_own_title(serve: Serve, ollama: FakeOllama) -> None:
    offered: dict[str, str] = {}

    def chooses(handler: Handler) -> None:
        offered.update(json.loads(handler.body["messages"][1]["content"])["candidates"])
        chosen = [{"number": 3, "why": "Warm."}, {"number": 1, "why": "Kind."}]
        says(json.dumps({"mood": "sad", "tone": "calm", "chosen": chosen, "others": []}))(handler)

    ollama.then(chooses)
    events = streamed(serve(llm="auto"), {})
    picks = [event.data for event in events if event.name == "pick"]
    named = [f"{pick['title']} ({pick['year']})" for pick in picks]
    assert named == [offered["3"], offered["1"]]
    assert [pick["why"] for pick in picks] == ["Warm.", "Kind."]
    assert all(pick["known"] for pick in picks)
    assert events[-1].data["primary_llm"] == [pick["title"] for pick in picks]


def test_a_film_named_in_two_spellings_comes_once(serve: Serve, ollama: FakeOllama) -> None:
    twins = [
        {"title": "Parasite", "year": 2019, "why": "Sharp."},
        {"title": "Parasyte", "year": 2019, "why": "Again."},
        {"title": "Paterson", "year": 2016, "why": "Quiet."},
    ]
    ollama.then(says(answer(twins)))
    events = streamed(serve(llm="auto"), {})
    picks = [event.data["title"] for event in events if event.name == "pick"]
    assert picks == events[-1].data["primary_llm"] == ["Parasite", "Paterson"]


def test_the_last_event_is_the_plain_answer(serve: Serve, ollama: FakeOllama) -> None:
    served = serve(llm="auto")
    body = {"text": "a quiet evening", "environment": {"lat": "north"}, "limit": 7}
    plain = served.post("/inference", body).json()
    last = streamed(served, body)[-1]
    assert last.name == "answer"
    assert shape(last.data) == shape(plain)
    for one in (last.data, plain):
        assert one.pop("inferenceId")
        one["llm"].pop("seconds")
    assert last.data == plain


def test_without_an_llm_the_stream_is_short(serve: Serve) -> None:
    events = streamed(serve(llm="embedded"), {})
    assert [event.name for event in events] == ["perceived", "picks", "answer"]
    assert events[1].data["picks"] == events[2].data["picks"]
    assert events[2].data["llm"]["status"] == "off"


@pytest.mark.usefixtures("let_go")
def test_who_waits_hears_the_place_and_each_step_forward(serve: Serve, ollama: FakeOllama) -> None:
    first, second = Steps(answer()), Steps(answer())
    ollama.then(first, second)
    served = serve(llm="auto")
    with listening(served, {}) as one:
        one.until("pick")
        with listening(served, {}) as two:
            assert two.until("queue") == {"position": 1}
            with listening(served, {}) as three:
                assert three.until("queue") == {"position": 2}
                first.go_on()
                assert one.rest()[-1].data["llm"]["status"] == "used"
                assert three.until("queue") == {"position": 1}
                assert two.next().name == "pick"
                second.go_on()
                assert two.rest()[-1].data["llm"]["status"] == "used"
                assert [event.name for event in three.rest()] == ["pick"] * 3 + ["answer"]


@pytest.mark.usefixtures("let_go")
def test_a_comment_comes_while_the_llm_is_silent(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(once_released(says(answer())))
    with listening(serve(llm="auto"), {}) as stream:
        stream.until("picks")
        events = stream.everything()
        assert [next(events).name for _ in range(2)] == [COMMENT] * 2
        ollama.released.set()
        assert stream.until("answer")["primary_llm"] == TITLES


def test_who_does_not_ask_for_events_gets_json(serve: Serve) -> None:
    served = serve()
    del served.http.headers["Accept"]
    for accept in ("*/*", None, "application/json", "text/html, */*;q=0.8"):
        headers = {} if accept is None else {"Accept": accept}
        got = served.http.post("/inference", json={}, headers=headers)
        assert got.request.headers.get("Accept") == accept
        assert got.headers["Content-Type"] == "application/json", accept
        assert len(got.json()["movies"]) == 10


def test_the_headers_of_a_stream(serve: Serve) -> None:
    with listening(serve(), {}) as stream:
        headers = stream.response.headers
        assert headers["Content-Type"].startswith("text/event-stream")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Accel-Buffering"] == "no"
        assert len(headers["X-Request-ID"]) == 32
        stream.rest()


def test_an_envelope_is_answered_in_one(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(says(answer()), replies(500, {"error": "broken"}))
    served = serve(llm="ollama")
    good = streamed(served, MFNP | {"payload": {"mood": "sad"}})[-1]
    assert good.name == "answer"
    payload = good.data.pop("payload")
    assert good.data == MFNP | {"sender": "server"}
    assert payload["primary_llm"] == TITLES
    bad = streamed(served, MFNP | {"payload": {}})[-1]
    assert bad.name == "error"
    assert bad.data["message_type"] == "error"
    assert bad.data["payload"] == {"reason": "Ollama failed: Ollama answered HTTP 500"}
    assert bad.data["status"] == 500


def test_what_cannot_be_read_is_a_plain_400(serve: Serve) -> None:
    served = serve()
    headers = STREAM | {"Content-Type": "application/json"}
    bad = {"{": "Invalid JSON", "[]": "Invalid JSON", '{"limit": 0}': "limit: must be at least 1"}
    for content, error in bad.items():
        got = served.http.post("/inference", content=content, headers=headers)
        assert got.status_code == 400
        assert got.headers["Content-Type"] == "application/json"
        assert got.json()["error"] == error


def test_a_failure_of_a_required_llm_is_a_late_error(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(replies(500, {"error": "/usr/lib/ollama died"}), begins("", hangs))
    served = serve(llm="ollama", llm_timeout=1)
    for reason in ("Ollama answered HTTP 500", "no complete answer within 1 s"):
        events = streamed(served, {})
        assert [event.name for event in events] == ["perceived", "picks", "error"]
        assert events[-1].data == {"error": f"Ollama failed: {reason}", "status": 500}


def test_a_failure_of_a_wanted_llm_is_an_answer(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(replies(500, {"error": "/usr/lib/ollama died"}))
    events = streamed(serve(llm="auto"), {})
    assert [event.name for event in events] == ["perceived", "picks", "answer"]
    last = events[-1].data
    assert last["movies"] == [pick["title"] for pick in events[1].data["picks"]]
    assert (last["llm"]["status"], last["llm"]["detail"]) == (
        "unavailable",
        "Ollama answered HTTP 500",
    )


@pytest.mark.usefixtures("let_go")
@pytest.mark.parametrize("mode", ["auto", "ollama"])
def test_who_finds_the_queue_full_is_told_so_in_the_stream(
    serve: Serve, ollama: FakeOllama, mode: str
) -> None:
    ollama.then(once_released(says(answer())))
    served = serve(llm=mode, llm_queue=0)
    with listening(served, {}) as holder:
        await_condition(lambda: len(ollama.requests) == 1, "the call")
        last = streamed(served, {})[-1]
        if mode == "ollama":
            assert last.data.pop("retry_after") >= 1
            expected = {"error": f"Ollama failed: {CROWD}", "status": 503}
            assert last == StreamEvents("error", expected)
        else:
            assert last.name == "answer"
            assert last.data["llm"]["detail"] == CROWD
        ollama.released.set()
        assert holder.rest()[-1].name == "answer"


@pytest.mark.usefixtures("let_go")
def test_films_complete_at_the_deadline_are_kept(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(begins("".join(FILMS[:2]) + ', {"title": "Para', hangs))
    events = streamed(serve(llm="ollama", llm_timeout=1), {})
    picks = [event.data["title"] for event in events if event.name == "pick"]
    last = events[-1]
    assert last.name == "answer"
    assert picks == last.data["primary_llm"] == TITLES[:2]
    assert last.data["llm"]["status"] == "partial"
    assert last.data["llm"]["detail"] == "no complete answer within 1 s"


def test_a_client_that_goes_away_ends_the_call_and_frees_its_place(
    gunicorn_and_llm: Shared,
) -> None:
    served, llm = gunicorn_and_llm
    stored = _answers(served)
    watch = Watch(FILMS[0])
    llm.then(watch)
    with listening(served, {}) as stream:
        stream.until("pick")
        assert not watch.gone.is_set()
        gone = stream.response.headers["X-Request-ID"]
    await_condition(watch.gone.is_set, "the end of the call")
    await_condition(lambda: gone in served.log, "the end of the request")
    assert served.post("/inference", {}).json()["primary_llm"] == TITLES
    # What nobody saw is no answer of the station's.
    assert _answers(served) == stored + 1


@pytest.mark.usefixtures("let_go")
def test_a_client_that_goes_away_leaves_the_line(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(once_released(says(answer())))
    served = serve(llm="auto", llm_queue=1)
    with listening(served, {}) as holder:
        holder.until("picks")
        await_condition(lambda: len(ollama.requests) == 1, "the call")
        with listening(served, {}) as waiting:
            assert waiting.until("queue") == {"position": 1}
            gone = waiting.response.headers["X-Request-ID"]
        await_condition(lambda: gone in served.log, "the end of the request")
        with listening(served, {}) as following:
            assert following.until("queue") == {"position": 1}
            ollama.released.set()
            assert following.until("answer")["llm"]["status"] == "used"
    # Who left is never asked for.
    assert len(ollama.requests) == 2


def test_one_line_is_logged_at_the_end_with_what_the_llm_cost(
    serve: Serve, ollama: FakeOllama
) -> None:
    steps = Steps(answer()[:60], answer()[60:])
    ollama.then(counts_tokens, steps)
    served = serve(llm="auto", log_format="json")
    with listening(served, {}) as stream:
        first = stream.response.headers["X-Request-ID"]
        stream.rest()
    with listening(served, {}) as stream:
        second = stream.response.headers["X-Request-ID"]
        stream.until("picks")
        assert second not in served.log
        steps.go_on()
        steps.go_on()
        stream.rest()
    await_condition(lambda: second in served.log, "the line")
    served.stop()
    lines = [json.loads(line) for line in served.log.splitlines()]
    [line] = [each for each in lines if each.get("id") == first]
    assert (line["route"], line["status"], line["llm"]) == ("/inference", 200, "used")
    assert line["tokens_per_second"] == 50
    assert line["prompt_tokens"] == 321
    assert 0 <= line["queue"] <= line["total"] <= line["seconds"]
    assert 0 < line["first_film"] <= line["total"]
    assert [each.get("id") for each in lines].count(second) == 1


def test_the_line_of_a_failure_says_so(serve: Serve, ollama: FakeOllama) -> None:
    ollama.then(replies(500), replies(500))
    served = serve(llm="ollama", log_format="json")
    with listening(served, {}) as stream:
        late = stream.response.headers["X-Request-ID"]
        assert stream.rest()[-1].name == "error"
    plain = served.post("/inference", {})
    assert plain.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    served.stop()
    lines = [json.loads(line) for line in served.log.splitlines()]
    for identity in (late, plain.headers["X-Request-ID"]):
        [line] = [each for each in lines if each.get("id") == identity]
        assert line["llm"] == "unavailable"
