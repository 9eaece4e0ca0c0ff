"""Reads a mood from what a person wrote, by a small lexicon with negation."""

from __future__ import annotations

import re
from collections import Counter

from moodflix import moods

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_NEGATIONS = {
    "not",
    "no",
    "never",
    "don't",
    "isn't",
    "aren't",
    "wasn't",
    "can't",
    "without",
    "hardly",
    "ain't",
    "didn't",
    "안",
    "못",
}
# "not very happy": how many words a negation reaches.
_REACH = 3
_KOREAN_NEGATION = re.compile(r"지\s*(?:않|못)")
# The words below name a mood only as labels; inside a sentence they are too common.
_ONLY_LABELS = {
    "good",
    "great",
    "down",
    "cross",
    "mad",
    "sick",
    "content",
    "fun",
    "okay",
    "ok",
    "fine",
    "normal",
    "quiet",
    "serious",
    "hurt",
    "그냥",
    "보통",
}


def mood(text: str) -> str | None:
    """Return the mood named most often in ``text`` (the last on a tie), or ``None``.

    A negated mood ("not sad") counts for nothing; a negated joy ("not happy") counts as sad.
    """
    words = [word.casefold().replace("\u2019", "'") for word in _WORD.findall(text)]
    found: Counter[str] = Counter()
    last: dict[str, int] = {}
    for place, word in enumerate(words):
        read = None if word in _ONLY_LABELS else moods.mood(word)
        if read is None or read == moods.NEUTRAL:
            continue
        before = words[max(0, place - _REACH) : place]
        after = " ".join(words[place : place + 2])
        if _NEGATIONS.intersection(before) or _KOREAN_NEGATION.search(after):
            if read != "happy":
                continue
            read = "sad"
        found[read] += 1
        last[read] = place
    return max(found, key=lambda name: (found[name], last[name]), default=None)


def canonical_mood(label: str) -> str:
    """Map any mood label to one the recommenders know; ``neutral`` when none fits."""
    return moods.mood(label) or mood(label) or moods.NEUTRAL
