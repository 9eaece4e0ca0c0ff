"""Merges what was perceived; a label given by hand wins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from moodflix import moods
from moodflix.perception import words
from moodflix.schemas import InferenceRequest

HAND, WORDS, LLM, NONE = "hand", "words", "llm", "none"


@dataclass(frozen=True)
class Perceived:
    """Mood and tone with where each came from (hand, words, llm or none)."""

    mood: str = moods.NEUTRAL
    mood_source: str = NONE
    tone: str = moods.NEUTRAL
    tone_source: str = NONE
    frames: int = 0
    clips: int = 0

    def or_read_by_llm(self, mood: str | None, tone: str | None) -> Perceived:
        """Fill in what is still unknown from the LLM's reading of the words."""
        read = self
        if self.mood_source == NONE and mood is not None:
            read = replace(read, mood=mood, mood_source=LLM)
        if self.tone_source == NONE and tone is not None:
            read = replace(read, tone=tone, tone_source=LLM)
        return read

    def as_json(self) -> dict[str, Any]:
        """Return the ``perceived`` object of an answer."""
        return {
            "mood": {"label": self.mood, "source": self.mood_source},
            "tone": {"label": self.tone, "source": self.tone_source},
            "face": {"frames": self.frames, "read": 0},
            "voice": {"clips": self.clips, "read": 0},
        }


def perceive(request: InferenceRequest) -> Perceived:
    """Read mood and tone from the labels given by hand, else the mood from the words."""
    seen = Perceived(frames=len(request.images), clips=int(request.audio is not None))
    if request.mood:
        seen = replace(seen, mood=request.mood, mood_source=HAND)
    elif read := words.mood(request.text):
        seen = replace(seen, mood=read, mood_source=WORDS)
    if request.tone:
        seen = replace(seen, tone=request.tone, tone_source=HAND)
    return seen
