"""What holds for every recommender; each one's test class inherits it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import pytest

from moodflix.films import titles
from moodflix.perception.wishes import understand
from moodflix.recommend.query import Pick, Query, Recommender
from moodflix.requests import CONTEXT

EVENING = Query(
    context={
        "city": "Seoul",
        "lat": "37.5",
        "lon": "127.0",
        "today_status": "work",
        "tomorrow_status": "holiday",
        "weekday": "Friday",
        "weather_desc": "light rain",
        "temperature": "12",
        "mood": "sad",
        "tone": "subdued",
    },
    hour=21,
    words=understand("something warm about food, nothing scary"),
)
EMPTY = Query()
ODD = {
    "blank": "   ",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "unknown-word": "flibbertigibbet",
    "korean": "\uc6b0\uc6b8\ud55c \ub0a0",
    "right-to-left": "\u202e\u05e9\u05dc\u05d5\u05dd",
    "ligature": "\ufdfa",
    "not-a-number": "nan",
    "infinite": "-1e999",
    "quotes": "\"'\u201c\u201d''",
    "sql": "'; DROP TABLE films; --",
    "template": "{{7*7}} %s {0} <script>",
    "lines": "a\r\nb\tc\x0b\x1bd",
    "long": "x" * 10_000,
    "long-emoji": "\U0001f600" * 10_000,
    "long-digits": "9" * 10_000,
    "long-spaces": "a" + " " * 9_998 + "b",
    "many-words": "no sad " * 1_500,
}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as-it-is": str,
    "upper": str.upper,
    "quoted": lambda title: f"\u201c{title}\u201d",
    "with-year": lambda title: f"{title} (1999)",
    "spaced": lambda title: f"  {title.replace(' ', '   ')}\t",
    "punctuated": lambda title: f"{title}!",
}


class RecommenderContract(ABC):
    #: How many films it can name for any evening, 50 if more.
    names: ClassVar[int]

    @pytest.fixture
    @abstractmethod
    def recommender(self) -> Recommender: ...

    def test_it_has_a_name(self, recommender: Recommender) -> None:
        assert recommender.name in ("catalogue", "context", "llm")

    @pytest.mark.parametrize("query", [EVENING, EMPTY], ids=["evening", "empty"])
    @pytest.mark.parametrize("n", [1, 3, 50])
    def test_it_names_as_many_films_as_asked_or_as_it_can(
        self, recommender: Recommender, query: Query, n: int
    ) -> None:
        picks = recommender.rank(query, n)
        assert len(picks) == min(n, self.names)
        sound(picks)

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
    def test_it_takes_odd_text_in_every_column(self, recommender: Recommender, text: str) -> None:
        query = Query(
            context=dict.fromkeys(CONTEXT, text),
            hour=3,
            words=understand(text, text),
            liked=(text, f"{text} (2009)"),
            excluded={titles.key(text)},
        )
        picks = recommender.rank(query, 50)
        assert len(picks) == self.names
        sound(picks)

    @pytest.mark.parametrize("column", CONTEXT)
    def test_it_takes_an_odd_value_beside_ordinary_ones(
        self, recommender: Recommender, column: str
    ) -> None:
        context = {**EVENING.context, column: ODD["long-emoji"]}
        sound(recommender.rank(Query(context=context, hour=0), 10))

    @pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
    def test_it_never_names_what_is_excluded_in_any_spelling(
        self, recommender: Recommender, spell: Callable[[str], str]
    ) -> None:
        before = recommender.rank(EVENING, 50)
        unwanted = frozenset(titles.key(spell(pick.title)) for pick in before[::2])
        query = Query(EVENING.context, EVENING.hour, EVENING.words, excluded=unwanted)
        after = recommender.rank(query, 50)
        assert unwanted.isdisjoint(pick.key for pick in after)
        kept = before[1::2]
        assert [pick.key for pick in after[: len(kept)]] == [pick.key for pick in kept]
        sound(after)

    def test_it_answers_the_same_to_the_same_query(self, recommender: Recommender) -> None:
        first = recommender.rank(EVENING, 50)
        # Another evening between may not leave a trace.
        recommender.rank(EMPTY, 5)
        assert recommender.rank(EVENING, 50) == first

    def test_a_shorter_list_is_the_start_of_a_longer_one(self, recommender: Recommender) -> None:
        longer = recommender.rank(EVENING, 50)
        assert recommender.rank(EVENING, 2) == longer[:2]


def sound(picks: list[Pick]) -> None:
    keys = [pick.key for pick in picks]
    assert all(keys)
    assert len(set(keys)) == len(keys), "one film twice"
    assert all(pick.title.strip() for pick in picks)
    scores = [pick.score for pick in picks]
    assert all(math.isfinite(score) for score in scores)
    assert scores == sorted(scores, reverse=True)
