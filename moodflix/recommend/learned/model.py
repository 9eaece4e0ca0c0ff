"""The learned model: a scikit-learn pipeline that predicts which film is chosen in a context."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from moodflix.films import shipped, titles
from moodflix.recommend.query import Pick, Query, admissible
from moodflix.vocabulary import LEARNED

_BATCH: Final = 10_000

Context = Mapping[str, str]


class ChoiceModel:
    """Counts of films by the values of a context, with weights fitted on held-out choices.

    Attributes:
        rows: the choices it was learned from.
        figures: on held-out rows: ``rows``, and ``hit10``, ``ndcg10`` and ``log_loss`` of the model
            and, prefixed ``popularity_``, of popularity; empty when there were too few rows.
        pipeline: encoding and estimating; ``None`` before the first choice.
        films: key of a film -> its number, which is its index in ``titles``.
        titles: the films' titles as last spelled.
    """

    def __init__(self) -> None:
        """Start with no choices."""
        self.rows = 0
        self.figures: dict[str, float] = {}
        self.pipeline: Any = None
        self.films: dict[str, int] = {}
        self.titles: list[str] = []

    def fit(self, X: Sequence[Context], y: Sequence[str]) -> ChoiceModel:  # noqa: N803
        """Learn from contexts (any of the ten columns, as text) and the titles chosen in them.

        A film's key is ``shipped.key_of`` its title; rows are in time order if they have one.
        """
        begins = range(0, len(X), _BATCH)
        return self.fit_stream((X[at : at + _BATCH], y[at : at + _BATCH]) for at in begins)

    def fit_stream(self, batches: Iterable[tuple[Any, ...]]) -> ChoiceModel:
        """Learn from batches of (contexts, titles) or (contexts, titles, weights) in one pass."""
        import numpy as np

        from moodflix.recommend.learned.encoding import ContextTable

        self.__init__()  # type: ignore[misc]
        table, chosen = ContextTable(), []
        for contexts, *titles_and_weights in batches:
            films, weights, kept = self._films_of(*titles_and_weights)
            table.append([contexts[row] for row in kept])
            chosen.append((films, weights))
        if not self.titles:
            return self
        films, weights = (np.concatenate(each) for each in zip(*chosen, strict=True))
        self.pipeline = pipeline_of()
        self.pipeline.fit(table, films, estimate__sample_weight=weights)
        self.rows, self.figures = len(table), self.pipeline["estimate"].figures_
        return self

    def updated(self, X: Sequence[Context], y: Sequence[str]) -> ChoiceModel:  # noqa: N803
        """Return a model with further rows counted; the weights are kept."""
        if self.pipeline is None:
            return ChoiceModel().fit(X, y)
        from moodflix.recommend.learned.encoding import ContextTable

        model = copy.copy(self)
        model.films, model.titles = dict(self.films), list(self.titles)
        films, weights, kept = model._films_of(y)  # noqa: SLF001 - another of this class
        if not len(kept):
            return self
        table = ContextTable([X[row] for row in kept])
        encode = self.pipeline["encode"].extended(table)
        estimate = self.pipeline["estimate"].extended(encode.transform(table), films, weights)
        model.pipeline = pipeline_of(encode, estimate)
        model.rows += len(films)
        return model

    def probabilities(self, context: Context) -> Any:
        """Return the probability of each film, in the order of ``titles``."""
        return self.pipeline.predict_proba([context])[0]

    def ranking(self, context: Context) -> list[tuple[str, float]]:
        """Return (title, probability) over the known films, best first."""
        return self.top(context, len(self.titles))

    def top(self, context: Context, n: int) -> list[tuple[str, float]]:
        """Return the ``n`` likeliest (title, probability), best first."""
        if self.pipeline is None or n < 1:
            return []
        import numpy as np

        shares = self.probabilities(context)
        last = max(len(shares) - n, 0)
        likely = (shares >= np.partition(shares, last)[last]).nonzero()[0]
        best = likely[(-shares[likely]).argsort(kind="stable")][:n]
        return [(self.titles[film], float(shares[film])) for film in best]

    def _films_of(self, chosen: Sequence[str], weights: Any = None) -> tuple[Any, Any, Any]:
        """Return film numbers, weights and rows of the titles that are not blank."""
        import numpy as np

        films = np.empty(len(chosen), dtype=np.int32)
        weights = np.ones(len(films)) if weights is None else np.asarray(weights)
        for row, title in enumerate(chosen):
            tidy = titles.tidy(title)
            key = shipped.key_of(tidy) if weights[row] > 0 else ""
            # Two quotes with nothing between them are no film.
            films[row] = film = self.films.setdefault(key, len(self.films)) if key else -1
            if film == len(self.titles):
                self.titles.append(tidy)
            elif key:
                self.titles[film] = tidy
        kept = np.flatnonzero(films >= 0)
        return films[kept], weights[kept].astype(np.float32), kept


def pipeline_of(encode: Any = None, estimate: Any = None) -> Any:
    """Return the pipeline of two steps, which are new unless given."""
    from sklearn.pipeline import Pipeline

    from moodflix.recommend.learned.encoding import PLACES, ContextEncoder
    from moodflix.recommend.learned.estimator import ChoiceEstimator

    encode, estimate = encode or ContextEncoder(), estimate or ChoiceEstimator(places=PLACES)
    return Pipeline([("encode", encode), ("estimate", estimate)])


class LearnedRecommender:
    """Ranks with the newest model; an empty list before the first."""

    name = LEARNED

    def __init__(self) -> None:
        """Start with an empty model."""
        self.model = ChoiceModel()

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Rank by probability; an empty list while nothing is learned."""
        # Read once: the trainer may swap the model meanwhile.
        model = self.model
        if not model.rows:
            return []
        ranked = (_pick(title, score) for title, score in model.ranking(query.context))
        return list(islice(admissible(ranked, query), n))


def _pick(text: str, score: float) -> Pick:
    if film := shipped.by_film_key(shipped.key_of(text)):
        return Pick(film.title, film.year, score, film=film)
    title, year = titles.split_year(text)
    return Pick(title, year, score)
