from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfTransformer

from moodflix.films import shipped
from moodflix.recommend.catalogue import ranker, space
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.catalogue.traits import TraitTable, film_traits
from tests.server import ROOT

SCALE = {"theme": 0.85, "pace": 0.5, "length": 0.0}


@pytest.fixture(scope="module")
def table() -> TraitTable:
    return TraitTable(shipped.films())


def dense(table: TraitTable, entries: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(table), len(table.columns)))
    matrix[table.films, table.traits] = entries
    return matrix


def test_a_table_holds_the_traits_of_every_film(table: TraitTable) -> None:
    films = shipped.films()
    vectorizer = DictVectorizer(dtype=np.float32, sparse=False)
    expected = vectorizer.fit_transform([film_traits(film) for film in films])
    assert table.columns == vectorizer.vocabulary_
    np.testing.assert_array_equal(dense(table, table.amounts), expected)
    weights = np.random.default_rng(0).normal(size=len(table.columns))
    np.testing.assert_allclose(table.sums(weights), expected @ weights, atol=1e-9)
    for trait in ("theme:rain", "director:bong-joon-ho", "darkness"):
        column = expected[:, table.columns[trait]]
        [(_, _, entries)] = table.entries({trait: 1.0})
        amounts = dict(zip(table.films[entries], table.amounts[entries], strict=True))
        assert amounts == {film: column[film] for film in amounts}
        assert set(np.flatnonzero(column)) <= amounts.keys()
    assert not table.entries({"theme:none-such": 1.0})


def test_tf_idf_is_the_tf_idf_of_scikit_learn(table: TraitTable) -> None:
    scaled = [
        {trait: amount * SCALE.get(trait.partition(":")[0], 0.6) for trait, amount in each.items()}
        for each in map(film_traits, shipped.films())
    ]
    counts = DictVectorizer(sparse=True).fit_transform(scaled)
    expected = TfidfTransformer().fit_transform(counts).toarray()
    np.testing.assert_allclose(dense(table, table.tf_idf(SCALE, 0.6)), expected, atol=1e-6)


def test_the_space_that_ships_is_what_a_fit_finds(tmp_path: Path, table: TraitTable) -> None:
    tf_idf = table.tf_idf(ranker.KIND_WEIGHTS, ranker.OTHER_KIND_WEIGHT)
    with np.load(ROOT / "moodflix/data" / space.FILE) as stored:
        assert str(stored["traits"]) == space.digest(table), "run: make docs"
    shipped_space, fitted = space.film_vectors(table, tf_idf), space.fit_vectors(table, tf_idf)
    # Axes may be mirrored; what counts is how near films are.
    some = slice(0, len(table), 7)
    nearness, expected = (each[some] @ each[some].T for each in (shipped_space, fitted))
    np.testing.assert_allclose(nearness, expected, atol=0.002)
    space.save(table, tf_idf, tmp_path / space.FILE)
    with np.load(tmp_path / space.FILE) as saved:
        assert saved["vectors"].shape == shipped_space.shape


def test_other_films_have_a_space_of_their_own() -> None:
    few = shipped.films()[::30]
    table = TraitTable(few)
    placed = space.film_vectors(table, table.tf_idf(SCALE, 0.6))
    assert placed.shape == (len(few), 80)
    np.testing.assert_allclose(np.linalg.norm(placed, axis=1), 1, atol=1e-5)
    assert len(Catalogue(lambda: few)) == 0


def test_the_catalogue_ranks_without_scikit_learn_and_scipy() -> None:
    script = (
        "import sys\n"
        "from moodflix.recommend.catalogue.ranker import Catalogue\n"
        "from moodflix.recommend.query import Query\n"
        "assert Catalogue().rank(Query({'mood': 'sad'}, liked=['Amelie']), 10)\n"
        "print(*(sys.modules.keys() & {'sklearn', 'scipy', 'pandas'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
