"""What a signal says of a mood or tone, and reading moods from words by ``data/lexicon.csv``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

from moodflix import vocabulary
from moodflix.perception.words import Term, Text, is_negated, split

# 슬픈 영화 is a sad film, 슬퍼서 영화 is not: a noun follows these final consonants (ㄴ, ㄹ).
_BEFORE_NOUN: Final = (4, 8)
# How many words each reaches; none reaches past the end of its clause.
_REACH: Final = {"wish": 4, "film": 4, "self": 3}
# How many words there may be between a feeling and the film it describes.
_NEAR: Final = 2
# Below this a stem counts only after "I feel", and then for this much more.
_WEAK: Final = 0.5
_AFTER_SELF: Final = 0.4
_BEFORE_BUT: Final = 0.5
# "not happy" is a weaker "sad".
_NEGATED: Final = 0.8
# A factor for each mood word after it, so that of two equal moods the later wins.
_EARLIER: Final = 0.99
# What is left of doubt after one plain word.
_DOUBT: Final = 0.4


@dataclass(frozen=True)
class Reading:
    """Scores of one signal (hand, words, face or voice).

    Attributes:
        scores: label -> score, 0 to 1; of moods for words and face, of tones for voice.
        confidence: how reliable the signal is, 0 (not at all) to 1.
        missing: why there is nothing to read (``no_face``, ``too_short``, ...), else empty.
        details: further JSON-able facts for the answer; never stored.
        label: the label with the highest score.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    missing: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = field(init=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Find the label with the highest score, ``None`` without any."""
        best = max(self.scores, key=lambda name: self.scores[name], default=None)
        object.__setattr__(self, "label", best)


class _Found(NamedTuple):
    mood: str
    weight: float
    term: Term
    noun_may_follow: bool


def read(text: Text) -> Reading:
    """Score the moods named in a text; scores sum to 1 and are empty when none is named.

    One plain word has confidence 0.6; several that agree have more, those that differ less.
    """
    found: list[_Found] = []
    # The last word that each kind of term reaches in its clause.
    until: dict[str, int] = {}
    degree = 1.0
    clause = 0
    for term in text.terms:
        if term.clause != clause:
            clause, until = term.clause, {}
        kind = term.entry.mood
        within = {each for each, last in until.items() if term.first <= last}
        if kind in vocabulary.MOODS and within.isdisjoint(("wish", "film")):
            found += _feeling(text, term, degree, after_self="self" in within)
        elif kind == "self":
            until |= {"wish": -1, "film": -1}
        elif kind == "film":
            found = [each for each in found if not _describes(each, term)]
        degree = term.entry.weight if kind == "degree" else 1.0
        if kind in _REACH:
            until[kind] = term.last + _REACH[kind]
    return _scored(found)


@lru_cache(maxsize=1_000)
def canonical_mood(label: str) -> str:
    """Map any mood label to one the recommenders know; ``neutral`` when none fits."""
    return vocabulary.mood(label) or read(split(label)).label or vocabulary.NEUTRAL


def _feeling(text: Text, term: Term, degree: float, *, after_self: bool) -> Iterator[_Found]:
    """Yield the feeling that a term names, unless it is too weak or negated to nothing."""
    entry = term.entry
    weak = entry.weight < _WEAK
    if weak and not after_self:
        return
    mood = entry.mood
    weight = degree * (entry.weight + _AFTER_SELF * (weak and entry.weight > 0))
    # Nothing negates a sign: "not again 😡".
    if entry.language != "sign" and is_negated(text.words, term.first, term.last):
        mood, weight = "sad" if mood == "happy" else "", weight * _NEGATED
    if mood and weight:
        final = (ord(term.spelling[-1]) - ord("가")) % 28
        noun = entry.language != "ko" or term.spelling == entry.stem or final in _BEFORE_NOUN
        yield _Found(mood, weight, term, noun)


def _describes(feeling: _Found, film: Term) -> bool:
    term = feeling.term
    near = film.clause == term.clause and film.first - term.last <= _NEAR
    return near and feeling.noun_may_follow


def _scored(found: Sequence[_Found]) -> Reading:
    scores: dict[str, float] = {}
    for back, each in enumerate(reversed(found)):
        contrasts = found[-1].term.contrasts - each.term.contrasts
        weight = each.weight * _BEFORE_BUT**contrasts * _EARLIER**back
        scores[each.mood] = scores.get(each.mood, 0) + weight
    total, top = sum(scores.values()), max(scores.values(), default=0)
    shares = {name: score / total for name, score in scores.items()}
    return Reading(shares, top / total * (1 - _DOUBT**top) if total else 0)
