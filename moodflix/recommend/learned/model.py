"""The scikit-learn pipeline learned from the logs: which film is chosen in which context."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from moodflix.films import titles
from moodflix.recommend.query import Pick, Query, admissible
from moodflix.vocabulary import LEARNED

_BATCH = 10_000

Context = Mapping[str, str]


class ChoiceModel:
    """Counts of films by the values of a context, weighted by what held-out choices say.

    Attributes:
        rows: the choices it was learned from.
        figures: on held-out rows: ``rows``, and ``hit10``, ``ndcg10`` and ``log_loss`` of the model
            and, prefixed ``popularity_``, of popularity; empty when there were too few rows.
        pipeline: cleaning, encoding, estimating; ``None`` before the first choice.
        films: spelling key -> film, the place of its title in ``titles``.
        titles: the films' titles as last spelled.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self.rows = 0
        self.figures: dict[str, float] = {}
        self.pipeline: Any = None
        self.films: dict[str, int] = {}
        self.titles: list[str] = []

    def fit(self, X: Sequence[Context], y: Sequence[str]) -> ChoiceModel:  # noqa: N803
        """Learn from contexts (any of the ten columns, as text) and the titles chosen in them.

        Films are told apart by spelling key; rows are in time order when they have one.
        """
        cuts = range(0, len(X), _BATCH)
        return self.fit_stream((X[at : at + _BATCH], y[at : at + _BATCH]) for at in cuts)

    def fit_stream(self, batches: Iterable[tuple[Any, ...]]) -> ChoiceModel:
        """Learn from batches of (contexts, titles) or (contexts, titles, weights) in one pass."""
        import numpy as np

        self.__init__()  # type: ignore[misc]
        pipeline = _pipeline()
        encode = pipeline["encode"]
        encode.begin()
        parts = []
        for batch in batches:
            chosen = (batch[1], batch[2] if len(batch) > 2 else None)  # noqa: PLR2004
            films, weights, kept = _coded(*chosen, self.films, self.titles)
            contexts = [context for context, keep in zip(batch[0], kept, strict=True) if keep]
            parts.append((encode.learn(pipeline["clean"].transform(contexts)), films, weights))
        if not self.titles:
            return self
        words, films, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
        del parts
        encode.finish(words)
        self.rows = len(words)
        values = encode.spread(words)
        del words
        pipeline["estimate"].fit(values, films, sample_weight=weights)
        self.pipeline, self.figures = pipeline, pipeline["estimate"].figures_
        return self

    def updated(self, X: Sequence[Context], y: Sequence[str]) -> ChoiceModel:  # noqa: N803
        """Return a model that counted further rows as well; the weights are kept."""
        if self.pipeline is None:
            return ChoiceModel().fit(X, y)
        model = copy.copy(self)
        model.films, model.titles = dict(self.films), list(self.titles)
        films, weights, kept = _coded(y, None, model.films, model.titles)
        contexts = [context for context, keep in zip(X, kept, strict=True) if keep]
        if not contexts:
            return self
        texts = self.pipeline["clean"].transform(contexts)
        encode = self.pipeline["encode"].grown(texts)
        estimate = copy.copy(self.pipeline["estimate"])
        estimate.count_on(encode.transform(texts), films, weights)
        model.pipeline = _pipeline(encode, estimate)
        model.rows += len(films)
        return model

    def probabilities(self, context: Context) -> Any:
        """Return the probability of each film, in the order of ``films``."""
        return self.pipeline.predict_proba([context])[0]

    def probability(self, context: Context, title: str) -> float:
        """Return the probability that ``title`` is chosen; 0 for a film never chosen."""
        film = self.films.get(titles.key(titles.tidy(title)))
        return 0.0 if film is None else float(self.probabilities(context)[film])

    def ranking(self, context: Context) -> Iterator[tuple[str, float]]:
        """Yield (title, probability) over the known films, best first."""
        yield from self.top(context, len(self.titles))

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

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return all that was learned as arrays and JSON-able values.

        Raises:
            ValueError: nothing was learned.
        """
        if self.pipeline is None:
            raise ValueError("nothing was learned")
        arrays, meta = self.pipeline["estimate"].to_arrays()
        own = {"rows": self.rows, "figures": self.figures, "titles": self.titles}
        return arrays, {**own, **self.pipeline["encode"].to_json(), **meta}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> ChoiceModel:
        """Return the model that ``to_arrays`` told of.

        Raises:
            ValueError: something is missing or impossible; one line says what.
        """
        try:
            told = _Told.model_validate(meta)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        model = cls()
        model.rows, model.figures, model.titles = told.rows, told.figures, told.titles
        model.films = {titles.key(title): film for film, title in enumerate(told.titles)}
        if len(model.films) != len(told.titles) or "" in model.films:
            raise ValueError("titles: one film twice, or none")
        model.pipeline = pipeline = _pipeline()
        pipeline["encode"].restore(told.words, told.edges)
        columns = len(pipeline["encode"].tables_)
        pipeline["estimate"].restore(arrays, meta, len(told.titles), columns)
        return model


def _coded(
    chosen: Sequence[str], weights: Any, films: dict[str, int], shown: list[str]
) -> tuple[Any, Any, Any]:
    """Return film codes and weights of titles, and which of them are titles at all."""
    import numpy as np

    codes = np.empty(len(chosen), dtype=np.int32)
    given = np.ones(len(codes)) if weights is None else np.asarray(weights)
    for row, title in enumerate(chosen):
        tidy = titles.tidy(title)
        key = titles.key(tidy) if given[row] > 0 else ""
        # Two quotes with nothing between them are no film.
        codes[row] = film = films.setdefault(key, len(films)) if key else -1
        if film == len(shown):
            shown.append(tidy)
        elif key:
            shown[film] = tidy
    kept = codes >= 0
    return codes[kept], given[kept].astype(np.float32), kept


def _pipeline(encode: Any = None, estimate: Any = None) -> Any:
    from sklearn.pipeline import Pipeline

    from moodflix.recommend.learned.encoding import PLACES, Clean, Encode
    from moodflix.recommend.learned.estimator import ChoiceEstimator

    return Pipeline(
        [
            ("clean", Clean()),
            ("encode", encode or Encode()),
            ("estimate", estimate or ChoiceEstimator(places=PLACES)),
        ]
    )


class _Told(BaseModel):
    model_config = ConfigDict(strict=True)

    rows: Annotated[int, Field(ge=1)]
    figures: dict[str, FiniteFloat]
    titles: Annotated[list[str], Field(min_length=1)]
    words: dict[str, Annotated[list[str], Field(max_length=20_000)]]
    edges: list[FiniteFloat]


class LearnedRecommender:
    """Ranks by whichever model was learned last; says nothing before the first."""

    name = LEARNED

    def __init__(self) -> None:
        """Start with a model that knows nothing."""
        self.model = ChoiceModel()

    def rank(self, query: Query, n: int) -> list[Pick]:
        """Rank by probability; an empty list while nothing is learned."""
        # One look: the trainer may swap the model meanwhile.
        model = self.model
        title_year = (
            (titles.split_year(title), score) for title, score in model.ranking(query.context)
        )
        ranked = (Pick(title, year, score) for (title, year), score in title_year)
        return list(islice(admissible(ranked, query), n))
