"""Finds misspelt titles by their spelling keys; a sequel is never taken for a misspelling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

# Keys less similar than this (0 to 100) are not compared word by word.
_MIN_RATIO: Final = 75
# A word with one or two wrong letters is a misspelling only from these lengths on; shorter ones
# are other words (love and hope, father and mother, brothers and mothers).
_MIN_LETTERS, _MIN_LETTERS_FOR_TWO = 6, 9
_FILLERS: Final = frozenset(("the", "a", "an", "of", "and"))
_ROMAN: Final = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"
_SPELLED: Final = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_ORDINALS: Final = "first second third fourth fifth sixth seventh eighth ninth tenth"
_NUMBERS: Final = {
    word: str(number)
    for words in (_ROMAN, _SPELLED)
    for number, word in enumerate(words.split(), start=1)
} | {word: f"{number}th" for number, word in enumerate(_ORDINALS.split(), start=1)}


def matches(key: str, others: Iterable[str]) -> list[tuple[str, float]]:
    """Return those of ``others`` that may be ``key`` misspelt, with their similarity (0 to 100).

    The most similar come first. They must have as many words and the same numbers, however
    written; fillers and spaces don't count, and a long word may have a letter or two wrong.
    """
    similar = process.extract(
        key,
        list(others),
        scorer=fuzz.ratio,
        processor=_normalized,
        score_cutoff=_MIN_RATIO,
        limit=None,
    )
    words = _words(key)
    return [(other, score) for other, score, _ in similar if _is_misspelling(words, _words(other))]


def _normalized(key: str) -> str:
    return " ".join(_words(key))


def _words(key: str) -> list[str]:
    return [_NUMBERS.get(word, word) for word in key.split() if word not in _FILLERS]


def _is_misspelling(words: list[str], other_words: list[str]) -> bool:
    if not words or not other_words:
        return False
    if "".join(words) == "".join(other_words):
        return True
    return len(words) == len(other_words) and all(map(_is_same_word, words, other_words))


def _is_same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    letters = max(len(one), len(other))
    if letters < _MIN_LETTERS or not (one.isalpha() and other.isalpha()):
        return False
    allowed = 1 if letters < _MIN_LETTERS_FOR_TWO else 2
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed
