"""Ranks the films that ship with the station for an evening, with no log at all."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from moodflix import evening, moods, titles
from moodflix.errors import RecommenderError
from moodflix.models import Film
from moodflix.perception.words import canonical_mood
from moodflix.recommend import policy
from moodflix.recommend.ranking import CATALOGUE, Pick, Query, admissible

if TYPE_CHECKING:
    from numpy import ndarray

# First mood of a film first: how well each place suits.
_MOOD_WEIGHTS = (1.5, 1.1, 0.8)
_KIND_WEIGHTS = {"tone": 1.0, "genres": 0.8, "themes": 0.9, "countries": 0.3}
_PREFIX = {"tone": "tone", "genres": "genre", "themes": "theme", "countries": "country"}
# How much the films a person named count beside the evening.
_LIKED_WEIGHT = 1.5


class Catalogue:
    """Content-based ranking: TF-IDF of the traits of films, cosine to those of the evening."""

    name = CATALOGUE

    def __init__(self, load: Callable[[], Sequence[Film]]) -> None:
        """Take the function that loads the films; it is called once, at first use."""
        self._load = load
        self._lock = threading.Lock()
        self._films: Sequence[Film] = ()
        self._named: dict[tuple[str, int | None], Film] = {}
        self._pipeline: Any = None
        self._matrix: Any = None

    def __len__(self) -> int:
        """Return how many films can be ranked."""
        return len(self._films)

    def warm(self) -> None:
        """Load films and scikit-learn unless that is done.

        Raises:
            RecommenderError: there are no films to rank.
        """
        with self._lock:
            if self._pipeline is not None:
                return
            from sklearn.feature_extraction import DictVectorizer
            from sklearn.feature_extraction.text import TfidfTransformer
            from sklearn.pipeline import Pipeline

            films = self._load()
            if not films:
                raise RecommenderError("the catalogue is empty; install the station again")
            pipeline = Pipeline([("traits", DictVectorizer()), ("tfidf", TfidfTransformer())])
            self._matrix = pipeline.fit_transform([film_traits(film) for film in films])
            self._films = films
            # Two films may share a title; without a year the newer is meant.
            for film in films:
                self._named[film.key, None] = self._named[film.key, film.year] = film
            self._pipeline = pipeline

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Rank by cosine similarity (0 to 1) between film and evening.

        Raises:
            RecommenderError: there are no films to rank.
        """
        self.warm()
        scores = self._scores(query)
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        ranked = (
            Pick(self._films[place].title, self._films[place].year, float(scores[place]))
            for place in order
        )
        picks = admissible(ranked, query)
        return [pick for pick, _ in zip(picks, range(n), strict=False)]

    def _scores(self, query: Query) -> ndarray[Any, Any]:
        traits = defaultdict(float, evening_traits(query))
        liked = [film for title in query.liked if (film := self._film(title))]
        for film in liked:
            # A hint of taste: the mood of tonight stays the person's own.
            tastes = {k: v for k, v in film_traits(film).items() if not k.startswith("mood:")}
            for trait, weight in tastes.items():
                traits[trait] += _LIKED_WEIGHT * weight / len(liked)
        wanted = self._pipeline.transform([traits])
        scores: ndarray[Any, Any] = (self._matrix @ wanted.T).toarray().ravel()
        return scores

    def _film(self, title: str) -> Film | None:
        _, year = titles.split_year(title)
        return self._named.get((titles.key(title), year))


def film_traits(film: Film) -> dict[str, float]:
    """Return the weighted traits of a film."""
    traits = {
        f"mood:{mood}": weight for mood, weight in zip(film.moods, _MOOD_WEIGHTS, strict=False)
    }
    for kind, weight in _KIND_WEIGHTS.items():
        values = [film.tone] if kind == "tone" else getattr(film, kind)
        traits.update({f"{_PREFIX[kind]}:{value}": weight for value in values})
    traits[f"decade:{film.year // 10 * 10}"] = 0.2
    return traits


def evening_traits(query: Query) -> dict[str, float]:
    """Return the weighted traits that suit an evening, by ``policy``."""
    context = query.context
    today, tomorrow = (evening.day(context.get(f"{day}_status")) for day in ("today", "tomorrow"))
    weekday = evening.weekday(context.get("weekday"))
    rest_tomorrow = tomorrow == "holiday" or (
        tomorrow is None and weekday in ("friday", "saturday")
    )
    work_tomorrow = tomorrow == "work" or (tomorrow is None and weekday == "sunday")
    rest_today = today == "holiday" or (today is None and weekday in ("saturday", "sunday"))
    parts = (
        policy.MOODS[canonical_mood(context.get("mood", ""))],
        policy.TONES[moods.tone(context.get("tone")) or moods.NEUTRAL],
        policy.WEATHER.get(evening.weather(context.get("weather_desc")) or "", {}),
        policy.WARMTH.get(evening.warmth(evening.number(context.get("temperature"))) or "", {}),
        policy.PART_OF_DAY.get(evening.part_of_day(query.hour) or "", {}),
        policy.EVE_OF_REST if rest_tomorrow else {},
        policy.EVE_OF_WORK if work_tomorrow else {},
        policy.REST_TODAY if rest_today else {},
        policy.words(query.words),
    )
    traits: dict[str, float] = defaultdict(float)
    for part in parts:
        for trait, weight in part.items():
            traits[trait] += weight
    return dict(traits)
