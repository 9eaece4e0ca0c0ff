"""The result of one recommendation request, complete or as stream events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moodflix.perception.merge import Perceived
from moodflix.recommend.llm.answer import LlmAnswer


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
