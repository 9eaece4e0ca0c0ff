"""Ranks the films that ship with the station for an evening, with no log at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from moodflix.errors import RecommenderError
from moodflix.films import shipped
from moodflix.films.shipped import ShippedFilm
from moodflix.perception import wishes
from moodflix.recommend.catalogue import space, traits
from moodflix.recommend.catalogue.traits import NUMBERS, Traits, TraitTable
from moodflix.recommend.query import Pick, Query
from moodflix.vocabulary import CATALOGUE, NEUTRAL

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

# Weights of the kinds of traits, and of the numbers, in the likeness of two films.
LIKENESS = {"theme": 0.85, "genre": 0.9, "director": 0.6, "mood": 1.2, "tone": 1.0}
LIKENESS |= {"pace": 0.6, "warmth": 0.6, "darkness": 0.6, "length": 0, "age": 0, "renown": 0}
LIKENESS_ELSE: Final = 0.6
# Weight of the likeness in the fitted space; that in single traits has 1.
_LATENT: Final = 0.5
# Weight left to the mood where there are wishes or named films. What a film gains that is as like
# the named (or loved) films as the fifth nearest, and at most, as a multiple of that.
_MOOD_BESIDE_WORDS, _LIKED, _LOVED, _NEAREST, _MOST_LIKED = 0.55, 10.0, 2.5, 5, 1.2
# Weight of the further traits by which a film meets a wish; the best has 1.
_BESIDE_BEST: Final = 0.3
# Themes weigh more the fewer films have them: 1 at this inverse document frequency.
_PLAIN_IDF: Final = 4.5
# Films that are diversified, and how much likeness to a better film costs.
_POOL: Final = 160
_VARIETY: Final = 1.6
# Of ten films at most so many from one series, director or decade; more cost a level.
_AT_MOST: Final = {"series": 1, "director": 2, "decade": 4}
_LEVEL: Final = 30.0
# Random part of a score: its scale as a share of the distance between the best film and the 40th,
# and the largest draw.
_NOISE, _NOISE_PLACES, _MAX_DRAW = 0.07, 40, 3.0


class Catalogue:
    """Ranks films by their traits, weighted by the policy and by the person's words."""

    name = CATALOGUE

    def __init__(self, load: Callable[[], Sequence[ShippedFilm]] = shipped.films) -> None:
        """Take the function that loads the films; it is called once, at first use."""
        self._load = load
        self._lock = threading.Lock()
        self._films: Sequence[ShippedFilm] = ()

    def __len__(self) -> int:
        """Return how many films can be ranked."""
        return len(self._films)

    def warm(self) -> None:
        """Load the films unless that is done.

        Raises:
            RecommenderError: there are no films to rank.
        """
        with self._lock:
            if not self._films:
                films = self._load()
                if not films:
                    raise RecommenderError("the catalogue is empty; install the station again")
                self._prepare(films)
                self._films = films

    def _prepare(self, films: Sequence[ShippedFilm]) -> None:
        import numpy as np

        self._places = {film.film_key: place for place, film in enumerate(films)}
        self._table = TraitTable(films)
        rarity = self._table.rarity(self._table.amounts != 0)
        self._rarity = np.clip(rarity / _PLAIN_IDF, 0.5, 1.4)
        self._likeness = self._table.likeness(LIKENESS, LIKENESS_ELSE)
        self._space = space.places(self._table, self._likeness)
        wishes.known_phrases()
        self._runtimes = np.array([film.runtime for film in films])
        self._families = np.array([film.family for film in films])
        self._groups = {
            kind: np.unique(names, return_inverse=True)[1]
            for kind, names in (
                ("series", [film.series or film.key for film in films]),
                ("director", [film.directors[0] for film in films]),
                ("decade", [film.year // 10 for film in films]),
            )
        }

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Rank by policy, words and named films, with variety.

        The order is that of maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
        A score is never above that of the film before. Noise moves good films a little, the same
        way all evening.

        Raises:
            RecommenderError: there are no films to rank.
        """
        self.warm()
        seen = set(query.excluded)
        picks: list[Pick] = []
        for place, score in self._diverse(self._scores(query), query):
            if len(picks) == n:
                break
            film = self._films[place]
            # Two of one title in a list would look like one film twice.
            if seen.isdisjoint((film.key, film.film_key)):
                seen.add(film.key)
                worst = picks[-1].score if picks else score
                picks.append(Pick(film.title, film.year, min(score, worst), film=film))
        return picks

    def _scores(self, query: Query) -> Array:
        import numpy as np

        words = query.words.wishes
        liked = self._named([*query.liked, *words.titles])
        mood = traits.for_mood(query.evening["mood"] or NEUTRAL, query.intent)
        mood_share = _MOOD_BESIDE_WORDS if words.wanted or liked else 1.0
        weights = np.zeros(len(self._table.columns))
        unwanted = {t: w for t, w in words.unwanted.items() if not words.asks_for(t)}
        for suits, share in ((mood, mood_share), (traits.for_evening(query), 1), (unwanted, 1)):
            for trait in suits.keys() & self._table.columns.keys():
                weights[self._table.columns[trait]] += share * suits[trait]
        scores = self._table.sums(weights)
        for wish in words.wanted:
            scores += self._met(wish)
        for films, weight in ((liked, _LIKED), (self._named(query.loved), _LOVED)):
            if films:
                likeness = self._likeness_to(films)
                nearest = np.partition(likeness, -_NEAREST)[-_NEAREST]
                scores += weight * np.minimum(likeness / nearest, _MOST_LIKED)
                scores[films] = -np.inf
        if query.is_limited:
            # As `Query.admits` does, which would take as long as all the rest of the ranking.
            longest = np.inf if query.max_minutes is None else query.max_minutes
            suitable = np.isin(self._families, query.families)
            scores[(self._runtimes > longest) | ~suitable] = -np.inf
        return scores

    def _likeness_to(self, films: Sequence[int]) -> Array:
        """Return how like each film is to the mean of some films, 0 for these."""
        import numpy as np

        theirs = np.isin(self._table.films, films)
        mean = np.bincount(
            self._table.traits[theirs], self._likeness[theirs], len(self._table.columns)
        )
        likeness = self._table.sums(mean / len(films), self._likeness)
        likeness += _LATENT * (self._space @ self._space[films].mean(axis=0))
        likeness[films] = 0
        return likeness

    def _met(self, wish: Traits) -> Array:
        """Return how well each film meets a wish: by its best trait and a little by others."""
        import numpy as np

        best = np.zeros(len(self._films))
        others = np.zeros_like(best)
        for trait, weight, entries in self._table.entries(wish):
            places = self._table.films[entries]
            theme = trait.startswith("theme:")
            rarity = self._rarity[self._table.columns[trait]] if theme else 1.0
            gain = self._table.amounts[entries] * (weight * rarity)
            if trait in NUMBERS or weight < 0:
                others[places] += gain / _BESIDE_BEST
            else:
                others[places] += np.minimum(gain, best[places])
                best[places] = np.maximum(gain, best[places])
        met: Array = best + _BESIDE_BEST * others
        return met

    def _named(self, names: Sequence[str]) -> list[int]:
        found = [film for title in dict.fromkeys(names) if (film := shipped.find(title))]
        places = (self._places.get(film.film_key) for film in found)
        return [place for place in places if place is not None]

    def _diverse(self, scores: Array, query: Query) -> Iterator[tuple[int, float]]:
        """Yield place and score of the films that may be shown, best first."""
        import numpy as np

        admitted = np.flatnonzero(np.isfinite(scores))
        pool = admitted
        if len(admitted) > _POOL:
            pool = admitted[np.argpartition(scores[admitted], -_POOL)[-_POOL:]]
        pool = pool[np.lexsort((pool, -scores[pool]))]
        if not len(pool):
            return
        spread = scores[pool[0]] - scores[pool[min(_NOISE_PLACES, len(pool) - 1)]]
        draws = np.random.default_rng(query.evening_seed).gumbel(size=len(scores))[pool]
        values = scores[pool] + _NOISE * spread * np.minimum(draws, _MAX_DRAW)
        near = self._space[pool]
        alike = near @ near.T
        nearest = np.zeros(len(pool), dtype=np.float32)
        # Who asks for a director or a decade may get ten of one.
        limits = [
            (self._groups[kind][pool], np.zeros(len(pool), dtype=int), most)
            for kind, most in _AT_MOST.items()
            if not query.words.wishes.asks_for(kind)
        ]
        for count in range(len(pool)):
            value = values - _VARIETY * nearest
            for _, taken, most in limits:
                value[taken >= most * (count // 10 + 1)] -= _LEVEL
            best = int(value.argmax())
            yield int(pool[best]), float(value[best])
            values[best] = -np.inf
            np.maximum(nearest, alike[best], out=nearest)
            for groups, taken, _ in limits:
                np.add(taken, groups == groups[best], out=taken)
        for place in admitted[np.argsort(-scores[admitted], kind="stable")][len(pool) :]:
            yield int(place), float(scores[place]) - _LEVEL
