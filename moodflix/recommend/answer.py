"""The results of recommending: the LLM's events and answer, and the station's own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from moodflix.perception.merge import Perceived
from moodflix.recommend.query import Pick, Query

USED, PARTIAL, UNAVAILABLE, OFF = "used", "partial", "unavailable", "off"


@dataclass
class Numbers:
    """Seconds and tokens of one answer of the LLM, ``None`` where unknown."""

    queue: float = 0.0
    first_film: float | None = None
    total: float = 0.0
    tokens_per_second: float | None = None
    prompt_tokens: int | None = None

    def as_json(self) -> dict[str, float | int]:
        """Return the known ones, rounded."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return {name: round(value, 3) for name, value in known.items()}


@dataclass(frozen=True)
class LlmAnswer:
    """The result of a call to the LLM; always the last event.

    Attributes:
        status: used, partial (cut short, its complete films are used), unavailable or off.
        model: name of the model, ``None`` without one.
        detail: what went wrong, in words that may be shown; empty when nothing did.
        picks: its films, best first, those of ``query.excluded`` left out.
        mood, tone: what it reads from the words, ``None`` when it gave none.
        numbers: the time and tokens it took.
    """

    status: str = OFF
    model: str | None = None
    detail: str = ""
    picks: list[Pick] = field(default_factory=list)
    mood: str | None = None
    tone: str | None = None
    numbers: Numbers = field(default_factory=Numbers)


@dataclass(frozen=True)
class Waiting:
    """About a second passed without another event."""


@dataclass(frozen=True)
class Queued:
    """The call waits in the queue; position 1 is next."""

    position: int


@dataclass(frozen=True)
class Named:
    """The LLM named a film."""

    pick: Pick


LlmEvent = Waiting | Queued | Named | LlmAnswer
LlmEvents = Generator[LlmEvent, None, None]
# Returns the films that the LLM may choose from, best first.
Candidates = Callable[[], Sequence[Pick]]


def answer_of(events: Iterable[LlmEvent]) -> LlmAnswer:
    """Consume the events and return the answer among them."""
    [answer] = [event for event in events if isinstance(event, LlmAnswer)]
    return answer


class NoLlm:
    """Takes the place of the LLM where the settings want none."""

    def ask(self, query: Query, limit: int, candidates: Candidates = tuple) -> LlmEvents:
        """Yield an empty answer with status off."""
        del query, limit, candidates
        yield LlmAnswer()

    def check(self) -> tuple[str, str]:
        """Return status and detail for the readiness page."""
        return OFF, "MOODFLIX_LLM=embedded"

    def warm(self) -> str:
        """Load nothing."""
        return ""


@dataclass(frozen=True)
class Recommendation:
    """The complete result of one recommendation request."""

    id: str | None
    movies: list[str]
    primary_llm: list[str]
    picks: list[dict[str, Any]]
    perceived: Perceived
    llm: LlmAnswer
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the answer as documented in docs/http.md."""
        return {
            "movies": self.movies,
            "primary_llm": self.primary_llm,
            "mood": self.perceived.mood.label,
            "tone": self.perceived.tone.label,
            "inferenceId": self.id,
            "picks": self.picks,
            "llm": {
                "status": self.llm.status,
                "model": self.llm.model,
                "detail": self.llm.detail,
                "seconds": round(self.llm.numbers.total, 3),
            },
            "perceived": self.perceived.as_json(),
            "warnings": self.warnings,
        }


@dataclass(frozen=True)
class Event:
    """One stream event; ``data`` is JSON, a ``Recommendation`` or an exception."""

    name: str
    data: Any = None


HEARTBEAT = Event("heartbeat")
