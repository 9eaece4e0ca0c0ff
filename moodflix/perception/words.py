"""Reads a mood from what a person wrote, by a small lexicon with negation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from moodflix import moods

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
# Beside all that end in "n't".
_NEGATIONS = frozenset("not no never cannot without hardly nothing 안 못".split())
# A negation reaches no further than its clause: "not tired, just happy".
_CLAUSE_END = re.compile(
    r"[,.;:!?\n]|\b(?:but|just|only|though|still|however)\b|(?<=\w)지만|하지만|그런데|근데",
    re.IGNORECASE,
)
# "not very happy": how many words a negation reaches.
_REACH = 3
_KOREAN_NEGATION = re.compile(r"지\s*(?:않|못)")
# These name a mood only as labels; inside a sentence they are too common.
_ONLY_LABELS = frozenset(
    "good great down cross mad sick content fun okay ok fine normal quiet serious hurt "
    "그냥 보통 좋아하는 좋아하던".split()
)


def mood(text: str) -> str | None:
    """Return the mood named most often in ``text`` (the last on a tie), or ``None``.

    A negated mood ("not sad") counts for nothing; a negated joy ("not happy") counts as sad.
    """
    found: Counter[str] = Counter()
    last: dict[str, int] = {}
    for clause in _CLAUSE_END.split(text.replace("\u2019", "'")):
        for read in _moods(_WORD.findall(clause.casefold())):
            found[read] += 1
            last[read] = found.total()
    return max(found, key=lambda name: (found[name], last[name]), default=None)


def _moods(words: Sequence[str]) -> Iterator[str]:
    for place, word in enumerate(words):
        read = None if word in _ONLY_LABELS else moods.mood(word)
        if read is None or read == moods.NEUTRAL:
            continue
        negated = any(
            before in _NEGATIONS or before.endswith("n't")
            for before in words[max(0, place - _REACH) : place]
        ) or _KOREAN_NEGATION.search(" ".join(words[place : place + 2]))
        if not negated:
            yield read
        elif read == "happy":
            yield "sad"


def canonical_mood(label: str) -> str:
    """Map any mood label to one the recommenders know; ``neutral`` when none fits."""
    return moods.mood(label) or mood(label) or moods.NEUTRAL
