"""One question to the LLM, with its retry, and what came of it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import httpx
import ollama

from moodflix.errors import LlmError
from moodflix.recommend.llm import prompt
from moodflix.recommend.llm.client import Deadline, connect
from moodflix.recommend.llm.ollama_errors import FAILURES, complaint
from moodflix.recommend.llm.reply import Reply, parse
from moodflix.recommend.query import Pick, Query, admissible

USED, PARTIAL, UNAVAILABLE, OFF = "used", "partial", "unavailable", "off"

KEEP_ALIVE: Final = "30m"
_TEMPERATURES: Final = (0.2, 0.6)  # a retry at the same temperature would say the same
_MAX_REPLY: Final = 32_768
_MIN_RETRY_SECONDS: Final = 1.0


@dataclass
class Numbers:
    """What one answer of the LLM cost; ``None`` is not known. All but tokens are seconds."""

    queue: float = 0.0
    first_film: float | None = None
    total: float = 0.0
    tokens_per_second: float | None = None
    prompt_tokens: int | None = None

    def as_json(self) -> dict[str, float | int]:
        """Return what is known."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return {name: round(value, 3) for name, value in known.items()}


@dataclass(frozen=True)
class LlmAnswer:
    """What came of asking the LLM.

    Attributes:
        status: used, partial (cut short, its complete films are used), unavailable or off.
        model: the model asked, ``None`` when none was.
        detail: what went wrong, in words that may be shown; empty when nothing did.
        picks: its films, best first, those of ``query.excluded`` left out.
        mood: how it reads the person, ``None`` when it didn't say.
        tone: likewise.
        numbers: what it cost.
    """

    status: str = OFF
    model: str | None = None
    detail: str = ""
    picks: list[Pick] = field(default_factory=list)
    mood: str | None = None
    tone: str | None = None
    numbers: Numbers = field(default_factory=Numbers)


class Listener:
    """Hears how a call goes; this one does nothing."""

    def queued(self, position: int) -> None:
        """The call waits; 1 is next."""

    def named(self, pick: Pick) -> None:
        """The LLM has named a film."""


class Call:
    """One question to the LLM, with its retry."""

    def __init__(
        self,
        model: str,
        query: Query,
        deadline: Deadline,
        listener: Listener,
    ) -> None:
        self.deadline = deadline
        self.listener = listener
        self.numbers = Numbers()
        self.asked = False
        # It named films, be it only such as nobody wanted: the LLM is well.
        self.named = False
        self._model = model
        self._query = query
        self._started = time.monotonic()
        self._heard = 0

    def run(self, question: prompt.Prompt) -> LlmAnswer:
        """Ask, and return what can be used.

        Raises:
            LlmError: nothing can.
        """
        self.asked = True
        self._prompt = question
        detail = ""
        for temperature in _TEMPERATURES:
            reply, detail, again = self._try(temperature)
            picks = self._picks(reply)
            if picks:
                status = USED if reply.whole and not detail else PARTIAL
                detail = detail if status == PARTIAL else ""
                self.numbers.total = time.monotonic() - self._started
                return LlmAnswer(
                    status, self._model, detail, picks, reply.mood, reply.tone, self.numbers
                )
            detail = detail or "the LLM named no film that can be used"
            if not again or self.deadline.left() < _MIN_RETRY_SECONDS:
                break
        raise LlmError(detail)

    def _parse(self, text: list[str]) -> Reply:
        reply = parse("".join(text), self._prompt.candidates)
        self.named = self.named or bool(reply.films)
        return reply

    def _picks(self, reply: Reply) -> list[Pick]:
        return list(islice(admissible(reply.films, self._query), self._prompt.films))

    def _try(self, temperature: float) -> tuple[Reply, str, bool]:
        """Return the reply, what is wrong with it, and whether another try makes sense."""
        text: list[str] = []
        try:
            finished = self._stream(temperature, text)
        except FAILURES as error:
            # The deadline, a refusal or a missing model would only repeat itself.
            again = isinstance(error, httpx.RemoteProtocolError)
            said = complaint(error, self._model, self.deadline.seconds)
            return self._parse(text), said, again
        reply = self._parse(text)
        detail = "" if finished and reply.whole else "the LLM's answer was cut short or malformed"
        if not text:
            detail = "the LLM's answer was empty"
        return reply, detail, True

    def _stream(self, temperature: float, text: list[str]) -> bool:
        """Collect what the model says in ``text``; return whether it came to its own end."""
        with connect(self.deadline) as client:
            chunks = client.chat(
                model=self._model,
                messages=self._prompt.messages,
                stream=True,
                think=False,
                format=self._prompt.schema,
                keep_alive=KEEP_ALIVE,
                options={
                    "num_ctx": prompt.NUM_CTX,
                    "num_predict": self._prompt.num_predict,
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
                    if "}" in said:
                        self._tell(text)
                    if chunk.done:
                        self._count(chunk)
                        return chunk.done_reason == "stop"
                    if size > _MAX_REPLY:
                        return False
        return False

    def _tell(self, text: list[str]) -> None:
        """Pass on the films that closed since the last look."""
        picks = self._picks(self._parse(text))
        if picks and self.numbers.first_film is None:
            self.numbers.first_film = time.monotonic() - self._started
        for pick in picks[self._heard :]:
            self.listener.named(pick)
        self._heard = max(self._heard, len(picks))

    def _count(self, chunk: ollama.ChatResponse) -> None:
        self.numbers.prompt_tokens = chunk.prompt_eval_count
        if chunk.eval_count and chunk.eval_duration:
            self.numbers.tokens_per_second = chunk.eval_count / (chunk.eval_duration / 1e9)
