"""Vectors of the shipped films in 80 dimensions, where films that are alike are near.

A fit takes seconds, so they ship in ``data/space.npz``. After a change of the films ``make docs``
writes that file; until then the station fits them at each start.
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


def places(table: TraitTable, likeness: Array) -> Array:
    """Return a unit vector for each film, from the file if it was made of the same traits."""
    import numpy as np

    with (resources.files("moodflix.data") / FILE).open("rb") as file, np.load(file) as stored:
        if str(stored["traits"]) != digest(table):
            return fit(table, likeness)
        found: Array = stored["places"].astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def fit(table: TraitTable, likeness: Array) -> Array:
    """Return a unit vector for each film by latent semantic analysis, which takes seconds."""
    from scipy.sparse import csr_array  # type: ignore[import-untyped]
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    shape = (len(table), len(table.columns))
    matrix = csr_array((likeness, (table.films, table.traits)), shape=shape)
    placed: Array = normalize(TruncatedSVD(_DIMENSIONS, random_state=0).fit_transform(matrix))
    return placed


def save(table: TraitTable, likeness: Array, path: Path) -> None:
    """Write the file."""
    import numpy as np

    rounded = fit(table, likeness).astype(np.float16)
    np.savez_compressed(path, traits=digest(table), places=rounded)


def digest(table: TraitTable) -> str:
    """Return a digest of all traits of all films."""
    found = hashlib.blake2b("\n".join(table.columns).encode(), digest_size=16)
    for array in (table.films, table.traits, table.amounts):
        found.update(array.tobytes())
    return found.hexdigest()
