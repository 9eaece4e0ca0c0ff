"""Films asked of a local LLM through Ollama, or of nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from moodflix.config import Settings, variable
from moodflix.errors import ConfigError, LlmBusyError, LlmError
from moodflix.recommend.llm import prompt
from moodflix.recommend.llm.call import (
    KEEP_ALIVE,
    OFF,
    PARTIAL,
    UNAVAILABLE,
    USED,
    Call,
    Listener,
    LlmAnswer,
    Numbers,
)
from moodflix.recommend.llm.client import Deadline, connect
from moodflix.recommend.llm.limits import Breaker, Queue
from moodflix.recommend.llm.ollama_errors import FAILURES, complaint
from moodflix.recommend.query import Pick, Query
from moodflix.vocabulary import LLM

__all__ = [
    "OFF",
    "PARTIAL",
    "UNAVAILABLE",
    "USED",
    "Listener",
    "LlmAnswer",
    "NoLlm",
    "Numbers",
    "OllamaRecommender",
    "build",
    "unavailable",
]

# Five films take a 3B model about 7 s on a Jetson Orin Nano; more would cost more than they add.
MAX_FILMS: Final = 5
_CHECK_SECONDS: Final = 2.0
_WARM_SECONDS: Final = 300.0
# Threads that never wait for the LLM: logs and reads are served by them.
_FREE_THREADS: Final = 2

Candidates = Callable[[], Sequence[Pick]]


class NoLlm:
    """Stands in when no LLM is wanted."""

    name = LLM
    timeout = 0.0

    def ask(
        self,
        query: Query,
        n: int,
        candidates: Candidates = tuple,
        deadline: Deadline | None = None,
        listener: Listener | None = None,
    ) -> LlmAnswer:
        """Answer that it is off."""
        del query, n, candidates, deadline, listener
        return LlmAnswer()

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Return no picks."""
        del query, n
        return []

    def check(self) -> tuple[str, str]:
        """Return status and detail for the readiness page."""
        return OFF, "MOODFLIX_LLM=embedded"

    def warm(self) -> str:
        """Have nothing to load."""
        return ""


class OllamaRecommender:
    """Asks the model that Ollama runs; each call ends at its deadline whatever the server does."""

    name = LLM

    def __init__(
        self,
        model: str,
        timeout: float,
        queue: Queue | None = None,
        breaker: Breaker | None = None,
        *,
        chooses: bool = False,
    ) -> None:
        """Ask ``model``, spending at most ``timeout`` seconds on one answer.

        With ``chooses`` it picks among candidates if it is given any.
        """
        self.model = model
        self._chooses = chooses
        self.timeout = timeout
        self._queue = queue or Queue(parallel=1, waiting=0)
        self._breaker = breaker or Breaker(failures=0)

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Return the LLM's films.

        Raises:
            LlmError: it gave none; the text says why.
        """
        return self.ask(query, n).picks

    def ask(
        self,
        query: Query,
        n: int,
        candidates: Candidates = tuple,
        deadline: Deadline | None = None,
        listener: Listener | None = None,
    ) -> LlmAnswer:
        """Ask for up to ``n`` films and a reading of mood and tone.

        Args:
            query: the evening.
            n: films wanted.
            candidates: called once it is our turn, returns films to choose from, best first;
                without any the LLM names its own.
            deadline: when to have ended, whatever came; cancel it to end at once.
            listener: hears of the place in the queue and of each film as it comes.

        Raises:
            LlmBusyError: it is being skipped, or too many are waiting.
            LlmError: nothing usable came; the text says why and what to do.
        """
        call = Call(self.model, query, deadline or Deadline(self.timeout), listener or Listener())
        trial = self._breaker.check()
        try:
            with self._queue.place(call.deadline, call.listener.queued) as waited:
                call.numbers.queue = waited
                offered = candidates() if self._chooses else ()
                answer = call.run(prompt.build(query, min(n, MAX_FILMS), offered))
        except LlmError as error:
            if call.deadline.cancelled or isinstance(error, LlmBusyError) or not call.asked:
                self._breaker.gave_up(trial=trial)
            elif call.named:
                self._breaker.succeeded()
            else:
                self._breaker.failed(trial=trial)
            raise
        except BaseException:
            self._breaker.gave_up(trial=trial)
            raise
        self._breaker.succeeded()
        return answer

    def check(self) -> tuple[str, str]:
        """Return status (up or down) and detail for the readiness page, within 2 seconds."""
        state = self._breaker.state()
        breaker = "" if state == "closed" else f"circuit breaker {state}"
        try:
            with connect(Deadline(_CHECK_SECONDS)) as client:
                client.show(self.model)
        except FAILURES as error:
            said = complaint(error, self.model, _CHECK_SECONDS)
            return "down", "; ".join(filter(None, (said, breaker)))
        return "up", breaker

    def warm(self) -> str:
        """Let Ollama load the model; return what is wrong, if anything."""
        try:
            with connect(Deadline(_WARM_SECONDS)) as client:
                # Without a prompt Ollama only loads; another num_ctx would load it again.
                client.generate(
                    self.model, options={"num_ctx": prompt.NUM_CTX}, keep_alive=KEEP_ALIVE
                )
        except FAILURES as error:
            return complaint(error, self.model, _WARM_SECONDS)
        return ""


def build(settings: Settings) -> OllamaRecommender | NoLlm:
    """Return the LLM that the settings ask for.

    Raises:
        ConfigError: so many may wait for the LLM that nobody would be left to serve logs.
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
    )


def unavailable(model: str | None, detail: str, seconds: float) -> LlmAnswer:
    """Return the answer of an LLM that gave nothing."""
    return LlmAnswer(UNAVAILABLE, model, detail, numbers=Numbers(total=seconds))
