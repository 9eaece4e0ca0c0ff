"""What the old server learned with: a forest of 50 trees over label-encoded columns.

Kept to compare with; it is no part of the product. A value it hasn't seen gets a code of its own,
where the old server raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from moodflix.films import shipped
from moodflix.requests import CONTEXT

TREES = 50
Table = np.ndarray[Any, np.dtype[np.object_]]


def table(contexts: Sequence[Mapping[str, str]]) -> Table:
    """Return the ten columns as text, rows x columns."""
    return np.array([[row.get(name) or "" for name in CONTEXT] for row in contexts], dtype=object)


def label_encoder() -> OrdinalEncoder:
    """Return what gives each value of a column a number in alphabetical order, -1 if unknown."""
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


class Forest:
    """The old server's model."""

    def __init__(self, seed: int = 0) -> None:
        """Prepare a forest; ``seed`` makes it the same each time."""
        forest = RandomForestClassifier(TREES, random_state=seed)
        self.pipeline: Pipeline = make_pipeline(label_encoder(), forest)
        self._titles: dict[str, str] = {}

    def fit(self, contexts: Sequence[Mapping[str, str]], chosen: Sequence[str]) -> Forest:
        """Learn from contexts and the titles chosen in them."""
        keys = [shipped.key_of(title) for title in chosen]
        self._titles = dict(zip(keys, chosen, strict=True))
        self.pipeline.fit(table(contexts), keys)
        return self

    def ranking(self, context: Mapping[str, str]) -> Iterator[tuple[str, float]]:
        """Yield (title, probability) over the known films, best first."""
        shares = self.pipeline.predict_proba(table([context]))[0]
        for at in (-shares).argsort(kind="stable"):
            yield self._titles[self.pipeline.classes_[at]], float(shares[at])
