"""Whether two spelling keys may be one film, one of them misspelt; never a film and its sequel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

# Below this similarity (0 to 100) nothing is looked at word by word.
_ROUGHLY: Final = 75
# Letters a word must have to be taken with one letter wrong, and with two: shorter or more
# often wrong, it is another word (love and hope, father and mother, brothers and mothers).
_ONE_WRONG, _TWO_WRONG = 6, 9
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
    """Return those of ``others`` that may be ``key`` misspelt, likest first, with 0 to 100.

    Numbers must be equal, however they are written, and there must be as many words: fillers and
    the spaces between words don't count, a letter or two of a long word may be wrong.
    """
    rough = process.extract(
        key, list(others), scorer=fuzz.ratio, processor=_plain, score_cutoff=_ROUGHLY, limit=None
    )
    mine = _words(key)
    return [(other, score) for other, score, _ in rough if _misspelt(mine, _words(other))]


def _plain(key: str) -> str:
    return " ".join(_words(key))


def _words(key: str) -> list[str]:
    return [_NUMBERS.get(word, word) for word in key.split() if word not in _FILLERS]


def _misspelt(mine: list[str], theirs: list[str]) -> bool:
    if not mine or not theirs:
        return False
    if "".join(mine) == "".join(theirs):
        return True
    return len(mine) == len(theirs) and all(map(_one_word, mine, theirs))


def _one_word(one: str, other: str) -> bool:
    if one == other:
        return True
    letters = max(len(one), len(other))
    if letters < _ONE_WRONG or not (one.isalpha() and other.isalpha()):
        return False
    allowed = 1 if letters < _TWO_WRONG else 2
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed
