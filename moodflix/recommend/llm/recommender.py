"""Recommends films by asking a local LLM through Ollama."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from moodflix.config import Settings, variable
from moodflix.errors import ConfigError, LlmBusyError, LlmError
from moodflix.recommend.answer import (
    PARTIAL,
    UNAVAILABLE,
    USED,
    Candidates,
    LlmAnswer,
    LlmEvent,
    LlmEvents,
    Named,
    NoLlm,
    Numbers,
    Waiting,
)
from moodflix.recommend.llm import client, prompt
from moodflix.recommend.llm.client import OllamaError
from moodflix.recommend.llm.limits import Breaker, Deadline, Queue
from moodflix.recommend.llm.reply import Reply, parse
from moodflix.recommend.query import Pick, Query, admissible

if TYPE_CHECKING:
    # Imported for real by client alone.
    import ollama

# Five films take a 3B model about 7 s on a Jetson Orin Nano; more would cost more than they add.
MAX_FILMS: Final = 5
KEEP_ALIVE: Final = "30m"
_TEMPERATURE: Final = 0.2
# At a low temperature a retry would give the same answer again.
_RETRY_TEMPERATURE: Final = 0.6
_MAX_REPLY: Final = 32_768
_MIN_RETRY_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 2.0
_WARM_SECONDS: Final = 300.0
# Threads kept free of waiting for the LLM, to serve logs and reads.
_FREE_THREADS: Final = 2


@dataclass(eq=False)
class OllamaRecommender:
    """Asks the model that Ollama runs; each call ends at its deadline, whatever the server does.

    Attributes:
        model: its name in Ollama.
        timeout: the most seconds that one answer takes, waiting included.
        queue: limits calls at a time; by default one runs and none may wait.
        breaker: skips the LLM after failures; never by default.
        chooses: whether it chooses among candidates, if there are any.
        required: whether a failure raises, or gives an answer with status unavailable.
    """

    model: str
    timeout: float
    queue: Queue = field(default_factory=lambda: Queue(parallel=1, waiting=0))
    breaker: Breaker = field(default_factory=lambda: Breaker(failures=0))
    chooses: bool = False
    required: bool = True

    def ask(self, query: Query, limit: int, candidates: Candidates = tuple) -> LlmEvents:
        """Ask for up to ``limit`` films and a reading of mood and tone; closing it ends the call.

        Args:
            query: the evening.
            limit: films wanted.
            candidates: returns films to choose from, best first; called when the call may run.
                If there are none, the LLM names its own.

        Yields:
            Waiting about once a second, Queued when the position in the queue changes, Named for
            each film, and last the one LlmAnswer.

        Raises:
            LlmBusyError: it is required, and being skipped, or too many are waiting.
            LlmError: it is required, and gave nothing usable; the text has reason and remedy.
        """
        call = _Call(self.model, query, Deadline(self.timeout))
        try:
            answer = yield from self._run(call, min(limit, MAX_FILMS), candidates)
        except LlmError as error:
            if self.required:
                raise
            numbers = Numbers(total=call.deadline.elapsed())
            answer = LlmAnswer(UNAVAILABLE, self.model, str(error), numbers=numbers)
        yield answer

    def _run(
        self, call: _Call, films: int, candidates: Candidates
    ) -> Generator[LlmEvent, None, LlmAnswer]:
        trial = self.breaker.check()
        try:
            with self.queue.join(call.deadline) as waiting:
                yield from waiting
                call.numbers.queue = call.deadline.elapsed()
                offered = candidates() if self.chooses else ()
                answer = yield from call.run(prompt.build(call.query, films, offered))
        except LlmError as error:
            if isinstance(error, LlmBusyError) or not call.started:
                self.breaker.abandoned(trial=trial)
            elif call.named:
                self.breaker.succeeded()
            else:
                self.breaker.failed(trial=trial)
            raise
        except BaseException:
            self.breaker.abandoned(trial=trial)
            raise
        self.breaker.succeeded()
        return answer

    def check(self) -> tuple[str, str]:
        """Return status (up or down) and detail for the readiness page, within 2 seconds."""
        state = self.breaker.state()
        breaker = "" if state == "closed" else f"circuit breaker {state}"
        try:
            client.call(lambda api: api.show(self.model), self.model, _CHECK_SECONDS)
        except OllamaError as error:
            return "down", "; ".join(filter(None, (str(error), breaker)))
        return "up", breaker

    def warm(self) -> str:
        """Let Ollama load the model; return what is wrong, if anything."""

        async def load(api: ollama.AsyncClient) -> object:
            # Without a prompt Ollama only loads; a call with another num_ctx would load it again.
            return await api.generate(
                self.model, options={"num_ctx": prompt.NUM_CTX}, keep_alive=KEEP_ALIVE
            )

        try:
            client.call(load, self.model, _WARM_SECONDS)
        except OllamaError as error:
            return str(error)
        return ""


class _Call:
    """One call to the LLM, with its retry."""

    def __init__(self, model: str, query: Query, deadline: Deadline) -> None:
        self.query = query
        self.deadline = deadline
        self.numbers = Numbers()
        self.started = False
        # Whether it named any film, even one that can't be used: then it works.
        self.named = False
        self._model = model
        self._question: prompt.Prompt
        self._text = ""
        self._announced = 0

    def run(self, question: prompt.Prompt) -> Generator[LlmEvent, None, LlmAnswer]:
        """Ask, and return what can be used.

        Raises:
            LlmError: nothing can be used.
        """
        self.started, self._question = True, question
        try:
            return (yield from self._try(_TEMPERATURE))
        except LlmError as error:
            # A missed deadline, a rejection or a missing model.
            would_fail_again = isinstance(error, OllamaError) and not error.retryable
            if would_fail_again or self.deadline.remaining() < _MIN_RETRY_SECONDS:
                raise
        return (yield from self._try(_RETRY_TEMPERATURE))

    def _try(self, temperature: float) -> Generator[LlmEvent, None, LlmAnswer]:
        finished = False
        failure: LlmError | None = None
        try:
            finished = yield from self._stream(temperature)
        except OllamaError as error:
            failure = error
        reply, picks = self._read()
        if failure is None and not (finished and reply.whole):
            problem = "was cut short or malformed" if self._text else "was empty"
            failure = LlmError(f"the LLM's answer {problem}")
        if not picks:
            raise failure or LlmError("the LLM named no film that can be used")
        self.numbers.total = self.deadline.elapsed()
        status, detail = (PARTIAL, str(failure)) if failure else (USED, "")
        return LlmAnswer(status, self._model, detail, picks, reply.mood, reply.tone, self.numbers)

    def _stream(self, temperature: float) -> Generator[LlmEvent, None, bool]:
        """Collect the answer while it is written; return whether the model finished it."""

        async def chat(api: ollama.AsyncClient) -> AsyncIterator[ollama.ChatResponse]:
            chunks = await api.chat(
                model=self._model,
                messages=self._question.messages,
                stream=True,
                think=False,
                format=self._question.schema,
                keep_alive=KEEP_ALIVE,
                options={
                    "num_ctx": prompt.NUM_CTX,
                    "num_predict": self._question.num_predict,
                    "temperature": temperature,
                },
            )
            async for chunk in chunks:
                if chunk.message.content or chunk.done:
                    yield chunk

        self._text = ""
        with closing(client.stream(chat, self._model, self.deadline)) as chunks:
            for chunk in chunks:
                if chunk is None:
                    yield Waiting()
                    continue
                content = chunk.message.content or ""
                self._text += content
                if "}" in content:
                    yield from self._new_films()
                if chunk.done:
                    self._count(chunk)
                    return chunk.done_reason == "stop"
                if len(self._text) > _MAX_REPLY:
                    break
        return False

    def _read(self) -> tuple[Reply, list[Pick]]:
        """Return what was written so far, and those of its films that may be shown."""
        reply = parse(self._text, self._question.candidates)
        self.named = self.named or bool(reply.films)
        return reply, list(islice(admissible(reply.films, self.query), self._question.films))

    def _new_films(self) -> Iterator[Named]:
        """Yield the films that are newly complete."""
        _, picks = self._read()
        if picks and self.numbers.first_film is None:
            self.numbers.first_film = self.deadline.elapsed()
        new = picks[self._announced :]
        self._announced += len(new)
        yield from map(Named, new)

    def _count(self, chunk: ollama.ChatResponse) -> None:
        self.numbers.prompt_tokens = chunk.prompt_eval_count
        if chunk.eval_count and chunk.eval_duration:
            self.numbers.tokens_per_second = chunk.eval_count / (chunk.eval_duration / 1e9)


def build(settings: Settings) -> OllamaRecommender | NoLlm:
    """Return the LLM that the settings ask for.

    Raises:
        ConfigError: calls of the LLM could take all threads.
    """
    if settings.llm == "embedded":
        return NoLlm()
    busy = settings.llm_parallel + settings.llm_queue
    if settings.threads < busy + _FREE_THREADS:
        raise ConfigError(
            f"{variable('threads')}={settings.threads} is not allowed; it takes: at least "
            f"{busy + _FREE_THREADS}, {_FREE_THREADS} more than {variable('llm_parallel')} and "
            f"{variable('llm_queue')} together"
        )
    return OllamaRecommender(
        settings.ollama_model,
        settings.llm_timeout,
        Queue(settings.llm_parallel, settings.llm_queue),
        Breaker(settings.llm_breaker),
        chooses=settings.llm_style == "choose",
        required=settings.llm == "ollama",
    )
