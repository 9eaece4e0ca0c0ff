"""Ranks the films that ship with the station for an evening; it needs no log of choices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from moodflix.errors import RecommenderError
from moodflix.films import shipped
from moodflix.films.shipped import ShippedFilm
from moodflix.perception.wishes import Traits, known_phrases
from moodflix.recommend.catalogue import space, traits
from moodflix.recommend.catalogue.traits import NUMERIC_TRAITS, TraitTable
from moodflix.recommend.query import Pick, Query
from moodflix.vocabulary import CATALOGUE, NEUTRAL

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

# Weights of the kinds of traits, and of numeric traits, in the similarity of two films.
KIND_WEIGHTS = {"theme": 0.85, "genre": 0.9, "director": 0.6, "mood": 1.2, "tone": 1.0}
KIND_WEIGHTS |= {"pace": 0.6, "warmth": 0.6, "darkness": 0.6, "length": 0, "age": 0, "renown": 0}
OTHER_KIND_WEIGHT: Final = 0.6
# Weight of the similarity of two films' vectors; that of their traits has 1.
_VECTORS_WEIGHT: Final = 0.5
# Share of its weight that a mood keeps beside wishes or liked films.
_MOOD_SHARE: Final = 0.55
# What a film gains that is as similar to the liked (or loved) films as the fifth nearest to them,
# and how many times that at most.
_LIKED_WEIGHT, _LOVED_WEIGHT, _REFERENCE_RANK, _MAX_SIMILARITY = 10.0, 2.5, 5, 1.2
# Weight of the further traits by which a film meets a wish; the best has 1.
_FURTHER_TRAITS: Final = 0.3
# Themes weigh more the fewer films have them: 1 at this inverse document frequency.
_USUAL_IDF: Final = 4.5
# How many films are diversified, and what it costs to be like a better one.
_POOL: Final = 160
_SIMILARITY_COST: Final = 1.6
# The most films of one series, director or decade among ten, and what it costs to exceed that.
_MOST_OF_TEN: Final = {"series": 1, "director": 2, "decade": 4}
_LIMIT_COST: Final = 30.0
# Random part of a score: its scale as a share of the distance between the best film and the 40th,
# and the largest draw.
_NOISE_SHARE, _NOISE_RANK, _MAX_DRAW = 0.07, 40, 3.0


class Catalogue:
    """Ranks films by their traits, weighted by the policy and by the person's words."""

    name = CATALOGUE

    def __init__(self, load: Callable[[], Sequence[ShippedFilm]] = shipped.films) -> None:
        """Store the function that loads the films; it is called once, at first use."""
        self._load = load
        self._lock = threading.Lock()
        self._films: Sequence[ShippedFilm] = ()

    def __len__(self) -> int:
        """Return how many films can be ranked."""
        return len(self._films)

    def warm(self) -> None:
        """Load the films if that hasn't been done.

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

        self._index_by_key = {film.film_key: index for index, film in enumerate(films)}
        self._table = TraitTable(films)
        rarity = self._table.rarity(self._table.amounts != 0)
        self._rarity = np.clip(rarity / _USUAL_IDF, 0.5, 1.4)
        self._tf_idf = self._table.tf_idf(KIND_WEIGHTS, OTHER_KIND_WEIGHT)
        self._vectors = space.film_vectors(self._table, self._tf_idf)
        known_phrases()
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
        """Rank by policy, words, and liked and loved films; then diversify the best.

        The order is that of maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
        A score is never above that of the film before. Noise moves good films a little, the same
        way all evening.

        Raises:
            RecommenderError: there are no films to rank.
        """
        self.warm()
        seen = set(query.excluded)
        picks: list[Pick] = []
        for index, score in self._diversified(self._scores(query), query):
            if len(picks) == n:
                break
            film = self._films[index]
            # Two films of one title in a list would look like one film twice.
            if seen.isdisjoint((film.key, film.film_key)):
                seen.add(film.key)
                lowest = picks[-1].score if picks else score
                picks.append(Pick(film.title, film.year, min(score, lowest), film=film))
        return picks

    def _scores(self, query: Query) -> Array:
        """Return the score of each film, minus infinity for those that may not be shown."""
        import numpy as np

        wishes = query.words.wishes
        liked = self._indexes_of([*query.liked, *wishes.titles])
        mood = traits.for_mood(query.evening["mood"] or NEUTRAL, query.intent)
        mood_share = _MOOD_SHARE if wishes.wanted or liked else 1.0
        weights = np.zeros(len(self._table.columns))
        unwanted = {
            trait: weight for trait, weight in wishes.unwanted.items() if not wishes.asks_for(trait)
        }
        for part, share in ((mood, mood_share), (traits.for_evening(query), 1), (unwanted, 1)):
            for trait in part.keys() & self._table.columns.keys():
                weights[self._table.columns[trait]] += share * part[trait]
        scores = self._table.sums(weights)
        for wish in wishes.wanted:
            scores += self._scores_of_wish(wish)
        loved = self._indexes_of(query.loved)
        for films, weight in ((liked, _LIKED_WEIGHT), (loved, _LOVED_WEIGHT)):
            if films:
                similarity = self._similarity_to(films)
                reference = np.partition(similarity, -_REFERENCE_RANK)[-_REFERENCE_RANK]
                scores += weight * np.minimum(similarity / reference, _MAX_SIMILARITY)
                scores[films] = -np.inf
        if query.is_limited:
            # As `Query.admits`, which would take as long as all the rest of the ranking.
            longest = np.inf if query.max_minutes is None else query.max_minutes
            suitable = np.isin(self._families, query.families)
            scores[(self._runtimes > longest) | ~suitable] = -np.inf
        return scores

    def _similarity_to(self, films: Sequence[int]) -> Array:
        """Return the similarity of each film to the mean of some films, 0 for these."""
        import numpy as np

        entries = np.isin(self._table.films, films)
        sums = np.bincount(
            self._table.traits[entries], self._tf_idf[entries], len(self._table.columns)
        )
        similarity = self._table.sums(sums / len(films), self._tf_idf)
        similarity += _VECTORS_WEIGHT * (self._vectors @ self._vectors[films].mean(axis=0))
        similarity[films] = 0
        return similarity

    def _scores_of_wish(self, wish: Traits) -> Array:
        """Return how well each film meets a wish: by its best trait and a little by others."""
        import numpy as np

        best = np.zeros(len(self._films))
        others = np.zeros_like(best)
        for trait, weight, entries in self._table.entries(wish):
            films = self._table.films[entries]
            is_theme = trait.startswith("theme:")
            rarity = self._rarity[self._table.columns[trait]] if is_theme else 1.0
            gain = self._table.amounts[entries] * (weight * rarity)
            if trait in NUMERIC_TRAITS or weight < 0:
                # With its full weight below.
                others[films] += gain / _FURTHER_TRAITS
            else:
                others[films] += np.minimum(gain, best[films])
                best[films] = np.maximum(gain, best[films])
        scores: Array = best + _FURTHER_TRAITS * others
        return scores

    def _indexes_of(self, names: Sequence[str]) -> list[int]:
        """Return the indexes of the films that titles mean, where there is one."""
        films = [film for title in dict.fromkeys(names) if (film := shipped.find(title))]
        indexes = (self._index_by_key.get(film.film_key) for film in films)
        return [index for index in indexes if index is not None]

    def _diversified(self, scores: Array, query: Query) -> Iterator[tuple[int, float]]:
        """Yield index and score of the films that may be shown, best first.

        The best ``_POOL`` are diversified; the others follow by score.
        """
        import numpy as np

        admitted = np.flatnonzero(np.isfinite(scores))
        pool = admitted
        if len(admitted) > _POOL:
            pool = admitted[np.argpartition(scores[admitted], -_POOL)[-_POOL:]]
        pool = pool[np.lexsort((pool, -scores[pool]))]
        if not len(pool):
            return
        spread = scores[pool[0]] - scores[pool[min(_NOISE_RANK, len(pool) - 1)]]
        draws = np.random.default_rng(query.evening_seed).gumbel(size=len(scores))[pool]
        relevance = scores[pool] + _NOISE_SHARE * spread * np.minimum(draws, _MAX_DRAW)
        vectors = self._vectors[pool]
        similarities = vectors @ vectors.T
        # Of each film, to the most similar film that was yielded.
        similarity = np.zeros(len(pool), dtype=np.float32)
        # The group of each film, how many of that were yielded, and how many may be. Who asks for
        # a director or a decade may get ten of one.
        limits = [
            (self._groups[kind][pool], np.zeros(len(pool), dtype=int), most)
            for kind, most in _MOST_OF_TEN.items()
            if not query.words.wishes.asks_for(kind)
        ]
        for yielded in range(len(pool)):
            value = relevance - _SIMILARITY_COST * similarity
            for _, counts, most in limits:
                value[counts >= most * (yielded // 10 + 1)] -= _LIMIT_COST
            best = int(value.argmax())
            yield int(pool[best]), float(value[best])
            relevance[best] = -np.inf
            np.maximum(similarity, similarities[best], out=similarity)
            for groups, counts, _ in limits:
                np.add(counts, groups == groups[best], out=counts)
        for index in admitted[np.argsort(-scores[admitted], kind="stable")][len(pool) :]:
            yield int(index), float(scores[index]) - _LIMIT_COST
