from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from moodflix.recommend.answer import answer_of
from moodflix.recommend.llm import client
from moodflix.recommend.llm.client import OllamaError
from moodflix.recommend.llm.limits import Deadline
from moodflix.recommend.llm.recommender import OllamaRecommender
from moodflix.recommend.query import Query
from tests.fake_ollama import (
    Behaviour,
    FakeOllama,
    Handler,
    answer,
    begins,
    dribbles,
    dribbles_headers,
    says,
)

LONG = 60.0


class Hangup:
    """Does something until the caller hangs up."""

    def __init__(self, behave: Behaviour) -> None:
        self.started = threading.Event()
        self.seen = threading.Event()
        self._behave = behave

    def __call__(self, handler: Handler) -> None:
        self.started.set()
        try:
            self._behave(handler)
        except OSError:
            self.seen.set()


def stays_silent(handler: Handler) -> None:
    if handler.connection.recv(1) == b"":
        raise ConnectionError


@pytest.mark.parametrize(
    "behave",
    [stays_silent, begins("", stays_silent), dribbles_headers, begins("", dribbles(b" "))],
    ids=["silence", "silence after the headers", "dribbled headers", "dribbled body"],
)
def test_closing_the_events_hangs_up(
    ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch, behave: Behaviour
) -> None:
    monkeypatch.setattr(client, "WAITING_SECONDS", 0.01)
    hangup = Hangup(behave)
    ollama.then(hangup)
    events = OllamaRecommender("llama3.2:3b", LONG).ask(Query(), 1)
    next(events)
    assert hangup.started.wait(LONG)
    assert not hangup.seen.is_set()
    events.close()
    assert hangup.seen.wait(LONG)


def test_a_call_works_after_one_whose_thread_could_not_start(
    ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ollama.then(says(answer()))
    monkeypatch.setattr(client, "_loops", {})
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OllamaError, match="no thread is left"):
            next(OllamaRecommender("llama3.2:3b", LONG).ask(Query(), 1))
    assert answer_of(OllamaRecommender("llama3.2:3b", LONG).ask(Query(), 1)).picks


def test_a_call_that_ends_without_a_result_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WAITING_SECONDS", 0.01)

    async def ask(it: Any) -> AsyncIterator[str]:
        yield "first"
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(LONG)
        yield str(it)

    parts = client.stream(ask, "", Deadline(LONG))
    assert next(parts) == "first"
    with pytest.raises(OllamaError, match="broke"):
        # A thousand ticks, so that a wait without end fails.
        list(itertools.islice((part for part in parts if part is None), 1_000))


def test_what_breaks_the_client_is_an_ollama_error() -> None:
    for error in (OSError("disk"), ssl.SSLError("odd"), RuntimeError("odd"), KeyError("x")):

        async def ask(it: Any, error: Exception = error) -> AsyncIterator[None]:
            raise error
            yield it

        with pytest.raises(OllamaError) as raised:
            list(client.stream(ask, "", Deadline(LONG)))
        assert raised.value.__cause__ is error
        assert str(error) not in str(raised.value)


@pytest.fixture
def closes_at_hello() -> Iterator[int]:
    """The port of a server that hangs up on every caller."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            caller.recv(1)
            caller.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_server_without_tls_is_not_reachable_by_https(
    closes_at_hello: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", f"https://127.0.0.1:{closes_at_hello}")
    status, detail = OllamaRecommender("llama3.2:3b", LONG).check()
    assert status == "down"
    assert detail.startswith("Ollama is not reachable")


def test_a_certificate_that_is_not_trusted_names_the_variable() -> None:
    def fail() -> None:
        try:
            raise ssl.SSLCertVerificationError("self-signed")
        except ssl.SSLError:
            raise ConnectionError("hidden") from None

    async def ask(it: Any) -> AsyncIterator[None]:
        fail()
        yield it

    with pytest.raises(OllamaError, match="set SSL_CERT_FILE"):
        list(client.stream(ask, "", Deadline(LONG)))
