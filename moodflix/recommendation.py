"""The result of one recommendation request, complete or as stream events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from moodflix.perception.merge import Perceived
from moodflix.recommend.llm.recommender import Listener, LlmAnswer
from moodflix.recommend.query import Pick


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
        """Return the documented object."""
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


class StreamEvents(Listener):
    """Puts the progress of an LLM call into a queue of events."""

    def __init__(
        self, events: SimpleQueue[Event], checked: Callable[[Sequence[Pick]], list[Pick]]
    ) -> None:
        self._events = events
        self._checked = checked
        self._told: set[str] = set()

    def queued(self, position: int) -> None:
        self._events.put(Event("queue", {"position": position}))

    def named(self, pick: Pick) -> None:
        for film in self._checked([pick]):
            # Two spellings may turn out to be one film.
            if film.key in self._told:
                continue
            self._told.add(film.key)
            told = {
                "title": film.title,
                "year": film.year,
                "known": film.known,
                "why": film.why,
            }
            self._events.put(Event("pick", told))
