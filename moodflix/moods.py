"""The words for moods and tones; ``data/lexicon.csv`` has their synonyms, English and Korean."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import resources
from typing import Final, Literal, NamedTuple

NEUTRAL: Final = "neutral"
# Where an evening may lead: repair the mood, stay with it, or what the policy makes of both.
Intent = Literal["lift", "stay", "auto"]
MOODS: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", NEUTRAL)
# Where a mood or tone is known from.
HAND, WORDS, FACE, VOICE, LLM = "hand", "words", "face", "voice", "llm"
NONE: Final = "none"
TONES: Final = ("excited", "subdued", NEUTRAL, "happy", "angry", "sad")


class Entry(NamedTuple):
    """A stem of the lexicon: its mood (or what else it does), weight and tone."""

    stem: str
    language: str
    mood: str
    weight: float
    tone: str

    @property
    def open_ended(self) -> bool:
        """Whether endings may follow, as they do in Korean: 우울해요 is 우울."""
        return self.stem[-1] == "*" or (self.language == "ko" and self.stem[-1] != "$")


@cache
def lexicon() -> tuple[Entry, ...]:
    """Return the stems, longest first, so that a phrase goes before the words in it."""
    text = (resources.files("moodflix.data") / "lexicon.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    found = [
        Entry(stem, row["language"], row["mood"], float(row["weight"]), row["tone"])
        for row in rows
        for stem in row["stem"].casefold().split(";")
    ]
    return tuple(sorted(found, key=lambda entry: (entry.stem[0] == "*", -len(entry.stem))))


def _look_up(label: str | None, known: tuple[str, ...], of: Callable[[Entry], str]) -> str | None:
    word = (label or "").strip().casefold()
    if word in known:
        return word
    for entry in lexicon():
        stem = entry.stem.rstrip("*$")
        if of(entry) in known and (word == stem or (entry.open_ended and word.startswith(stem))):
            return of(entry)
    return None


@lru_cache(maxsize=1_000)
def mood(label: str | None) -> str | None:
    """Map a mood word to one of ``MOODS``, or ``None`` when it says nothing to us."""
    return _look_up(label, MOODS, lambda entry: entry.mood)


@lru_cache(maxsize=1_000)
def tone(label: str | None) -> str | None:
    """Map a word for a tone of voice to one of ``TONES``, or ``None``."""
    return _look_up(label, TONES, lambda entry: entry.tone)
