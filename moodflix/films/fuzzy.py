"""Finds misspelt titles by their spelling keys; a sequel is never taken for a misspelling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

# Keys less similar than this (0 to 100) are not compared word by word.
_MIN_RATIO: Final = 75
# How long a word must be for one wrong letter, and for two, to be a misspelling: otherwise it is
# another word (love and hope, father and mother, brothers and mothers).
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
    """Return those of ``others`` that may be ``key`` misspelt, most similar first, with 0 to 100.

    They must have as many words and the same numbers, however written. Fillers and spaces don't
    count, and a long word may have a letter or two wrong.
    """
    similar = process.extract(
        key, list(others), scorer=fuzz.ratio, processor=_plain, score_cutoff=_MIN_RATIO, limit=None
    )
    mine = _words(key)
    return [(other, score) for other, score, _ in similar if _is_misspelling(mine, _words(other))]


def _plain(key: str) -> str:
    return " ".join(_words(key))


def _words(key: str) -> list[str]:
    return [_NUMBERS.get(word, word) for word in key.split() if word not in _FILLERS]


def _is_misspelling(mine: list[str], theirs: list[str]) -> bool:
    if not mine or not theirs:
        return False
    if "".join(mine) == "".join(theirs):
        return True
    return len(mine) == len(theirs) and all(map(_is_same_word, mine, theirs))


def _is_same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    letters = max(len(one), len(other))
    if letters < _MIN_LETTERS or not (one.isalpha() and other.isalpha()):
        return False
    allowed = 1 if letters < _MIN_LETTERS_FOR_TWO else 2
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed
