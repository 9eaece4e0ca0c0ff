"""What asking the LLM brings: events while it answers, and the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from moodflix.recommend.query import Pick

USED, PARTIAL, UNAVAILABLE, OFF = "used", "partial", "unavailable", "off"


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
    """What came of asking the LLM; always the last event.

    Attributes:
        status: used, partial (cut short, its complete films are used), unavailable or off.
        model: the model asked, ``None`` when none was.
        detail: what went wrong, in words that may be shown; empty when nothing did.
        picks: its films, best first, those of ``query.excluded`` left out.
        mood: how it reads the person, ``None`` when it named no mood.
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


@dataclass(frozen=True)
class Waiting:
    """About a second went by."""


@dataclass(frozen=True)
class Queued:
    """The call waits in the queue; position 1 is next."""

    position: int


@dataclass(frozen=True)
class Named:
    """The LLM named a film."""

    pick: Pick


LlmEvent = Waiting | Queued | Named | LlmAnswer


def answer_of(events: Iterable[LlmEvent]) -> LlmAnswer:
    """Wait for the answer, the last of the events."""
    [answer] = [event for event in events if isinstance(event, LlmAnswer)]
    return answer
