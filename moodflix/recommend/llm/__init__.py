"""Films asked of a local LLM through Ollama, or of nobody."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import httpx
import ollama
from pydantic import ValidationError

from moodflix.config import Settings
from moodflix.errors import LlmError
from moodflix.recommend.llm import prompt, wire
from moodflix.recommend.llm.reply import Reply, parse
from moodflix.recommend.ranking import LLM, Pick, Query, admissible

USED, PARTIAL, UNAVAILABLE, OFF = "used", "partial", "unavailable", "off"

# Five films take a 3B model about 7 s on a Jetson Orin Nano; more would cost more than they add.
MAX_FILMS: Final = 5
# Constant: Ollama reloads the model when it changes.
_NUM_CTX: Final = 4096
_TOKENS_A_FILM: Final = 80
_TEMPERATURES: Final = (0.2, 0.6)  # a retry at the same temperature would say the same
_MAX_REPLY: Final = 32_768
_CHECK_SECONDS: Final = 2.0
_MIN_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class LlmAnswer:
    """What came of asking the LLM.

    Attributes:
        status: used, partial (cut short, its complete films are used), unavailable or off.
        model: the model asked, ``None`` when none was.
        detail: what went wrong, in words that may be shown; empty when nothing did.
        seconds: how long it took.
        picks: its films, best first, those of ``query.excluded`` left out.
        mood: how it reads the person, ``None`` when it didn't say.
        tone: likewise.
    """

    status: str = OFF
    model: str | None = None
    detail: str = ""
    seconds: float = 0.0
    picks: list[Pick] = field(default_factory=list)
    mood: str | None = None
    tone: str | None = None


class NoLlm:
    """Stands in when no LLM is wanted."""

    name = LLM

    def ask(self, query: Query, n: int) -> LlmAnswer:
        """Answer that it is off."""
        del query, n
        return LlmAnswer()

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Return no picks."""
        del query, n
        return []

    def check(self) -> tuple[str, str]:
        """Return status and detail for the readiness page."""
        return OFF, "MOODFLIX_LLM=embedded"


class OllamaRecommender:
    """Asks the model that Ollama runs; each call ends at its deadline whatever the server does."""

    name = LLM

    def __init__(self, model: str, timeout: float, at_once: int) -> None:
        """Ask ``model``, ``timeout`` seconds a call at most, ``at_once`` calls at a time."""
        self.model = model
        self.timeout = timeout
        # Others are turned away at once: threads that wait here would not serve logs.
        self._places = threading.BoundedSemaphore(at_once)

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Return the LLM's films.

        Raises:
            LlmError: it gave none; the text says why.
        """
        return self.ask(query, n).picks

    def ask(self, query: Query, n: int) -> LlmAnswer:
        """Ask for up to ``n`` films and a reading of mood and tone.

        Raises:
            LlmError: nothing usable came; the text says why and what to do.
        """
        if not self._places.acquire(blocking=False):
            raise LlmError("too many people are asking the LLM at once; try again in a moment")
        try:
            return self._ask(query, min(n, MAX_FILMS))
        finally:
            self._places.release()

    def check(self) -> tuple[str, str]:
        """Return status (up or down) and detail for the readiness page, within 2 seconds."""
        try:
            with wire.client(wire.Deadline(_CHECK_SECONDS)) as client:
                client.show(self.model)
        except _FAILURES as error:
            return "down", self._complaint(error, _CHECK_SECONDS)
        return "up", ""

    def _ask(self, query: Query, films: int) -> LlmAnswer:
        started = time.monotonic()
        deadline = wire.Deadline(self.timeout)
        detail = ""
        for temperature in _TEMPERATURES:
            reply, detail, again = self._try(query, films, temperature, deadline)
            picks = list(islice(admissible(reply.films, query), films))
            if picks:
                status = USED if reply.whole and not detail else PARTIAL
                return LlmAnswer(
                    status,
                    self.model,
                    detail if status == PARTIAL else "",
                    time.monotonic() - started,
                    picks,
                    reply.mood,
                    reply.tone,
                )
            detail = detail or "the LLM named no film that can be used"
            if not again or deadline.left() < _MIN_RETRY_SECONDS:
                break
        raise LlmError(detail)

    def _try(
        self, query: Query, films: int, temperature: float, deadline: wire.Deadline
    ) -> tuple[Reply, str, bool]:
        """Return the reply, what is wrong with it, and whether another try makes sense."""
        text: list[str] = []
        try:
            finished = self._stream(query, films, temperature, deadline, text)
        except _FAILURES as error:
            # The deadline, a refusal or a missing model would only repeat itself.
            again = isinstance(error, httpx.RemoteProtocolError)
            return parse("".join(text)), self._complaint(error, self.timeout), again
        reply = parse("".join(text))
        detail = "" if finished and reply.whole else "the LLM's answer was cut short or malformed"
        if not text:
            detail = "the LLM's answer was empty"
        return reply, detail, True

    def _stream(
        self,
        query: Query,
        films: int,
        temperature: float,
        deadline: wire.Deadline,
        text: list[str],
    ) -> bool:
        """Collect what the model says in ``text``; return whether it came to its own end."""
        with wire.client(deadline) as client:
            chunks = client.chat(
                model=self.model,
                messages=prompt.messages(query, films),
                stream=True,
                think=False,
                format=prompt.schema(films),
                options={
                    "num_ctx": _NUM_CTX,
                    "num_predict": _TOKENS_A_FILM * (films + 1),
                    "temperature": temperature,
                },
            )
            size = 0
            with contextlib.closing(chunks):  # type: ignore[type-var]  # it is a generator
                for chunk in chunks:
                    said = chunk.message.content or ""
                    if said:
                        text.append(said)
                    size += len(said)
                    if chunk.done:
                        return chunk.done_reason == "stop"
                    if size > _MAX_REPLY:
                        return False
        return False

    def _complaint(self, error: Exception, seconds: float) -> str:
        """Say what is wrong without a word of the error's own: it may hold addresses."""
        if isinstance(error, ollama.ResponseError):
            return self._status_complaint(error.status_code)
        for kinds, words in _COMPLAINTS:
            if isinstance(error, kinds):
                return str(words).format(seconds=seconds)
        return "what answers at OLLAMA_HOST does not speak Ollama's API"

    def _status_complaint(self, status: int) -> str:
        if status == httpx.codes.NOT_FOUND:
            return f"model '{self.model}' is not pulled; run: ollama pull {self.model}"
        if status == httpx.codes.SERVICE_UNAVAILABLE:
            return "Ollama is busy; try again in a moment"
        if httpx.codes.is_redirect(status):
            return "OLLAMA_HOST leads to a redirect; set it to where Ollama itself answers"
        return f"Ollama answered HTTP {status}" if status > 0 else "Ollama broke off with an error"


_COMPLAINTS: Any = (
    (
        (httpx.ConnectError, ConnectionError),
        "Ollama is not reachable; is it running? start it with: ollama serve",
    ),
    (httpx.TimeoutException, "no complete answer within {seconds:g} s"),
    (httpx.TransportError, "the connection to Ollama broke"),
    (httpx.InvalidURL, "OLLAMA_HOST is not an address"),
)
# What the official client is known to raise, its own and what passes through it.
_FAILURES: Any = (
    ollama.ResponseError,
    ollama.RequestError,
    httpx.HTTPError,
    httpx.InvalidURL,
    ConnectionError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    ValidationError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)


def build(settings: Settings) -> OllamaRecommender | NoLlm:
    """Return the LLM that the settings ask for."""
    if settings.llm == "embedded":
        return NoLlm()
    return OllamaRecommender(settings.ollama_model, settings.llm_timeout, settings.threads // 2)


def unavailable(model: str | None, detail: str, seconds: float) -> LlmAnswer:
    """Return the answer of an LLM that gave nothing."""
    return replace(LlmAnswer(), status=UNAVAILABLE, model=model, detail=detail, seconds=seconds)
