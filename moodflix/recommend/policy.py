"""Which traits of a film suit which evening: the one table the catalogue ranks by.

A trait is ``kind:value`` (``mood:sad``, ``tone:warm``, ``genre:comedy``, ``theme:rain``); weights
compare within one evening. The moods follow mood management (Zillmann 1988: people in low moods
choose what repairs them) and its limit (Oliver 2008: sadness also seeks what is tender and true).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

Traits = Mapping[str, float]

MOODS: Final[Mapping[str, Traits]] = {
    "happy": {
        "mood:happy": 3,
        "tone:playful": 1,
        "tone:uplifting": 0.8,
        "genre:comedy": 0.5,
        "genre:musical": 0.5,
        "genre:adventure": 0.4,
    },
    "sad": {
        "mood:sad": 3,
        "tone:tender": 1,
        "tone:warm": 1,
        "tone:uplifting": 0.6,
        "theme:friendship": 0.4,
        "theme:hope": 0.5,
    },
    "angry": {
        "mood:angry": 3,
        "theme:justice": 0.8,
        "theme:underdog": 0.6,
        "genre:action": 0.5,
        "tone:wry": 0.4,
        "tone:playful": 0.4,
    },
    "fear": {
        "mood:fear": 3,
        "tone:warm": 1.2,
        "genre:family": 0.6,
        "theme:courage": 0.5,
        "theme:friendship": 0.5,
        "genre:animation": 0.3,
    },
    "disgust": {
        "mood:disgust": 3,
        "tone:wry": 0.8,
        "theme:nature": 0.6,
        "theme:art": 0.4,
        "tone:dreamy": 0.4,
    },
    "surprise": {
        "mood:surprise": 3,
        "tone:dreamy": 0.5,
        "genre:mystery": 0.6,
        "genre:sci-fi": 0.6,
        "genre:fantasy": 0.4,
    },
    # Also for a mood that nobody knows: what most people are glad of.
    "neutral": {
        "mood:neutral": 2,
        "mood:happy": 1,
        "tone:warm": 1,
        "tone:playful": 0.6,
        "tone:wry": 0.5,
        "genre:comedy": 0.5,
        "genre:adventure": 0.5,
    },
}
TONES: Final[Mapping[str, Traits]] = {
    "excited": {"tone:epic": 0.6, "tone:playful": 0.6, "genre:adventure": 0.4, "genre:action": 0.4},
    "subdued": {"tone:tender": 0.7, "tone:melancholic": 0.5, "tone:dreamy": 0.4},
    "happy": {"tone:playful": 0.7, "tone:uplifting": 0.4},
    "angry": {"tone:wry": 0.4, "genre:action": 0.4},
    "sad": {"tone:tender": 0.7, "tone:warm": 0.5},
    "neutral": {},
}
WEATHER: Final[Mapping[str, Traits]] = {
    "rain": {"theme:rain": 1.5, "theme:city": 0.4, "genre:romance": 0.4, "genre:noir": 0.4},
    "snow": {"theme:snow": 1.5, "theme:winter": 1.2, "theme:christmas": 0.5, "tone:warm": 0.4},
    "storm": {"theme:storm": 1.2, "theme:rain": 0.6, "genre:thriller": 0.5, "tone:tense": 0.4},
    "fog": {"genre:mystery": 0.6, "tone:eerie": 0.6, "tone:dreamy": 0.4},
    "clouds": {"tone:melancholic": 0.3, "genre:drama": 0.2, "theme:autumn": 0.4},
    "clear": {"theme:sun": 1.0, "theme:summer": 0.7, "theme:sea": 0.5, "genre:adventure": 0.3},
}
WARMTH: Final[Mapping[str, Traits]] = {
    "freezing": {"theme:winter": 0.8, "theme:snow": 0.6, "tone:warm": 0.4},
    "cold": {"theme:winter": 0.4, "theme:autumn": 0.4, "tone:warm": 0.2},
    "mild": {},
    "warm": {"theme:summer": 0.4, "theme:road-trip": 0.3},
    "hot": {"theme:summer": 0.8, "theme:sea": 0.6, "theme:sun": 0.5},
}
# What today and tomorrow leave room for.
EVE_OF_REST: Final[Traits] = {"tone:epic": 0.5, "genre:adventure": 0.3, "genre:thriller": 0.3}
EVE_OF_WORK: Final[Traits] = {"genre:comedy": 0.4, "tone:warm": 0.3, "tone:playful": 0.2}
REST_TODAY: Final[Traits] = {"theme:holiday": 0.5, "genre:family": 0.3}
PART_OF_DAY: Final[Mapping[str, Traits]] = {
    "morning": {"genre:family": 0.3, "genre:animation": 0.3, "tone:uplifting": 0.3},
    "afternoon": {"genre:adventure": 0.3, "tone:warm": 0.2},
    "evening": {},
    "night": {"theme:night": 0.8, "tone:dreamy": 0.3, "genre:mystery": 0.3},
}

# Words people type for traits that have another name here.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "funny": ("genre:comedy", "tone:playful"),
    "laugh": ("genre:comedy", "tone:playful"),
    "comic": ("genre:comedy",),
    "romantic": ("genre:romance",),
    "love": ("genre:romance",),
    "scary": ("genre:horror", "tone:eerie"),
    "creepy": ("genre:horror", "tone:eerie"),
    "cartoon": ("genre:animation",),
    "animated": ("genre:animation",),
    "anime": ("genre:animation", "country:JP"),
    "kids": ("genre:family",),
    "children": ("genre:family", "theme:childhood"),
    "scifi": ("genre:sci-fi",),
    "science": ("genre:sci-fi",),
    "cozy": ("tone:warm",),
    "cosy": ("tone:warm",),
    "light": ("tone:playful", "tone:warm"),
    "gentle": ("tone:tender",),
    "slow": ("tone:dreamy",),
    "exciting": ("genre:action", "genre:adventure"),
    "thrilling": ("genre:thriller",),
    "suspense": ("genre:thriller", "tone:tense"),
    "detective": ("genre:mystery",),
    "korean": ("country:KR",),
    "korea": ("country:KR",),
    "japanese": ("country:JP",),
    "french": ("country:FR",),
    "italian": ("country:IT",),
    "indian": ("country:IN",),
    "chinese": ("country:CN",),
    "spanish": ("country:ES",),
    "german": ("country:DE",),
    "british": ("country:GB",),
    "songs": ("genre:musical", "theme:music"),
    "코미디": ("genre:comedy",),
    "웃긴": ("genre:comedy",),
    "로맨스": ("genre:romance",),
    "멜로": ("genre:romance",),
    "공포": ("genre:horror",),
    "액션": ("genre:action",),
    "스릴러": ("genre:thriller",),
    "가족": ("genre:family", "theme:family"),
    "애니": ("genre:animation",),
    "한국": ("country:KR",),
    "음악": ("theme:music",),
    "음식": ("theme:food",),
    "우정": ("theme:friendship",),
    "바다": ("theme:sea",),
}
_KINDS: Final = ("genre", "tone", "theme")
_CLAUSE: Final = re.compile(r"[.,;:!?\n]|\bbut\b")
_TOKEN: Final = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_WORD_WEIGHT: Final = 1.6
_NEGATIONS: Final = frozenset(("no", "not", "nothing", "never", "without"))
# "nothing too scary": how many words a negation reaches, inside its clause.
_REACH: Final = 2


def words(text: str) -> Traits:
    """Return the traits that a person's own words name; negative those they don't want."""
    found: dict[str, float] = {}
    for clause in _CLAUSE.split(text.casefold()):
        tokens = _TOKEN.findall(clause)
        for place, token in enumerate(tokens):
            unwanted = not _NEGATIONS.isdisjoint(tokens[max(0, place - _REACH) : place])
            for trait in _named(token):
                found[trait] = -_WORD_WEIGHT if unwanted else _WORD_WEIGHT
    return found


def _named(token: str) -> set[str]:
    named = next(
        (
            traits
            for word, traits in _WORDS.items()
            if token == word or (not word.isascii() and token.startswith(word))
        ),
        (),
    )
    # Any genre, tone or theme may be typed as it is, in the plural too.
    plain = {token, token.removesuffix("s")}
    return {*named, *(f"{kind}:{word}" for word in plain for kind in _KINDS)}
