"""Vectors of the shipped films in 80 dimensions, in which similar films are close.

Fitting them takes seconds, so they ship in ``data/space.npz``. After a change of the films ``make
docs`` writes that file; until then the station fits them at each start.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moodflix.recommend.catalogue.traits import TraitTable

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]

FILE: Final = "space.npz"
_DIMENSIONS: Final = 80


def film_vectors(table: TraitTable, tf_idf: Array) -> Array:
    """Return a unit vector for each film, from the file if it was made of the same traits."""
    import numpy as np

    with (resources.files("moodflix.data") / FILE).open("rb") as file, np.load(file) as stored:
        if str(stored["traits"]) != digest(table):
            return fit_vectors(table, tf_idf)
        vectors: Array = stored["vectors"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def fit_vectors(table: TraitTable, tf_idf: Array) -> Array:
    """Return a unit vector for each film by latent semantic analysis, which takes seconds."""
    from scipy.sparse import csr_array  # type: ignore[import-untyped]
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    shape = (len(table), len(table.columns))
    matrix = csr_array((tf_idf, (table.films, table.traits)), shape=shape)
    vectors: Array = normalize(TruncatedSVD(_DIMENSIONS, random_state=0).fit_transform(matrix))
    return vectors


def save(table: TraitTable, tf_idf: Array, path: Path) -> None:
    """Fit the vectors and write them to a file."""
    import numpy as np

    rounded = fit_vectors(table, tf_idf).astype(np.float16)
    np.savez_compressed(path, traits=digest(table), vectors=rounded)


def digest(table: TraitTable) -> str:
    """Return a digest of all traits of all films."""
    hashed = hashlib.blake2b("\n".join(table.columns).encode(), digest_size=16)
    for array in (table.films, table.traits, table.amounts):
        hashed.update(array.tobytes())
    return hashed.hexdigest()
