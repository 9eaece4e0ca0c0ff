"""Reads moods from what a person wrote, by the lexicon in ``data/lexicon.csv``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from moodflix import vocabulary
from moodflix.perception.reading import Reading
from moodflix.vocabulary import Entry

# Names of films say nothing of the person: "Happy Feet", 'anything like "Angry Birds"'.
_TITLE = re.compile(
    r"\"[^\"\n]*\"|[“「『《][^“「『《”」』》\n]*[”」』》]"
    r"|\b[A-Z][a-z]+(?:,?(?: (?:a|and|at|from|in|of|the|to))* [A-Z][a-z]+)+"
)
# Of a word; ㅠㅠ and ㅋㅋ, which follow without a space, are signs.
_LETTER = r"[^\Wㄱ-ㆎ]"
_KOREAN_NOT = re.compile(r"\w*지[는도가]?\s?[않못]|\w*\s없|\w*\s?\w*\s?아니")
# Longest word, and what follows it, where that is looked for.
_LONGEST = 12
# 슬픈 영화 is a sad film, 슬퍼서 영화 is not: a noun follows these final consonants (ㄴ, ㄹ).
_BEFORE_NOUN = (4, 8)
# How many words each reaches; none reaches past a stop or a "but".
_REACH = {"not": 3, "wish": 4, "film": 4, "self": 3}
_STOP = 9
# How many words there may be between a feeling and the film it tells of.
_NEAR = 2
# Below this a stem counts only after "I feel", and then for this much more.
_WEAK = 0.5
_FELT = 0.4
_BEFORE_BUT = 0.5
# "not happy" is a weaker "sad".
_NEGATED = 0.8
# Of two equal moods the later wins.
_EARLIER = 0.99
# What is left of doubt after one plain word.
_DOUBT = 0.4


@dataclass
class _Reader:
    """Goes from word to word; ``until`` is the last place that what was said before reaches."""

    # Mood, weight, place, how many "but"s before, and whether a noun may follow.
    found: list[tuple[str, float, int, int, bool]] = field(default_factory=list)
    until: dict[str, int] = field(default_factory=dict)
    degree: float = 1.0
    place: int = 0
    buts: int = 0

    def take(self, entry: Entry, word: str, after: str) -> None:
        kind = entry.mood
        if kind in vocabulary.MOODS:
            self._feel(entry, word, after)
        elif kind == "but":
            self.buts += 1
            self.place += _STOP
        elif kind == "self":
            self.until["wish"] = self.until["film"] = 0
        elif kind == "film":
            self.found = [f for f in self.found if self.place - f[2] > _NEAR or not f[4]]
        self.degree = entry.weight if kind == "degree" else 1.0
        self.place += word.count(" ")
        if kind in _REACH:
            self.until[kind] = self.place + _REACH[kind]

    def _feel(self, entry: Entry, word: str, after: str) -> None:
        weak = entry.weight < _WEAK
        if (weak and not self._within("self")) or self._within("wish") or self._within("film"):
            return
        mood, korean = entry.mood, entry.language == "ko"
        weight = self.degree * (entry.weight + _FELT * (weak and entry.weight > 0))
        if self._within("not") or (korean and _KOREAN_NOT.match(after)):
            mood, weight = "sad" if mood == "happy" else "", weight * _NEGATED
        if mood and weight:
            final = (ord(word[-1]) - ord("가")) % 28
            noun_may_follow = not korean or word == entry.stem or final in _BEFORE_NOUN
            place = self.place + word.count(" ")
            self.found.append((mood, weight, place, self.buts, noun_may_follow))

    def _within(self, kind: str) -> bool:
        return self.place <= self.until.get(kind, 0)


@cache
def _pattern() -> re.Pattern[str]:
    """Return a pattern for the next word, sign or stop; it has one group for each entry."""
    # Under first letters, which the engine compares before it tries what follows.
    firsts: dict[str, list[str]] = {}
    for number, entry in enumerate(vocabulary.lexicon()):
        first = entry.stem[0].replace("*", "")
        words = map(re.escape, entry.stem.strip("*$")[len(first) :].split(" "))
        gap = r"\s*" if entry.language == "ko" else r"\s+"
        closed = "" if entry.language == "sign" else r"(?!\w)"
        rest = gap.join(words) + (f"{_LETTER}*" if entry.open_ended else closed)
        beginning = "" if first else f"{_LETTER}*?"
        firsts.setdefault(first, []).append(f"(?P<_{number}>{beginning}{rest})")
    stems = "|".join(f"{re.escape(first)}(?:{'|'.join(all_)})" for first, all_ in firsts.items())
    return re.compile(rf"{stems}|[.,;:!?\u2026\n]|\w(?:['-]|{_LETTER})*")


def read(text: str) -> Reading:
    """Score the moods named in ``text``; scores sum to 1 and are empty when none is named.

    One plain word has confidence 0.6; several that agree have more, those that differ less.
    """
    text = _TITLE.sub("_", text.replace("\u2019", "'")).casefold()
    reader = _Reader()
    for match in _pattern().finditer(text):
        reader.place += 1
        start, end = match.span()
        if match.lastgroup:
            after = text[start : min(end, start + _LONGEST) + _LONGEST]
            reader.take(vocabulary.lexicon()[int(match.lastgroup[1:])], match[0], after)
        elif not match[0][0].isalnum():
            reader.place += _STOP
    scores: dict[str, float] = {}
    for back, (name, weight, _, buts, _) in enumerate(reversed(reader.found)):
        since = _BEFORE_BUT ** (reader.found[-1][3] - buts) * _EARLIER**back
        scores[name] = scores.get(name, 0) + weight * since
    whole, top = sum(scores.values()), max(scores.values(), default=0)
    shares = {name: score / whole for name, score in scores.items()}
    return Reading(shares, top / whole * (1 - _DOUBT**top) if whole else 0)


def mood(text: str) -> str | None:
    """Return the mood that ``text`` names, ``None`` for none or a plain "I am fine"."""
    label = read(text).label
    return None if label == vocabulary.NEUTRAL else label


def canonical_mood(label: str) -> str:
    """Map any mood label to one the recommenders know; ``neutral`` when none fits."""
    return vocabulary.mood(label) or mood(label) or vocabulary.NEUTRAL
