from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

from benchmarks.planted import PLANS, Plan, Planted
from moodflix.films import titles
from moodflix.recommend.learned.counts import ALL_TIME, OVER_PLACES, Counts, Rows
from moodflix.recommend.learned.counts import Plan as CountPlan
from moodflix.recommend.learned.encoding import NAMES, ContextEncoder, ContextTable
from moodflix.recommend.learned.estimator import MIN_ROWS, ChoiceEstimator
from moodflix.recommend.learned.fitting import HeldOut
from moodflix.recommend.learned.likelihood import em, fit_exponents, log_likelihood, metrics
from moodflix.recommend.learned.model import ChoiceModel
from moodflix.recommend.learned.weights import ALPHA, KAPPA, Weights, log_lift
from moodflix.requests import CONTEXT

# Those of scikit-learn that ask for libraries we don't have.
FOREIGN = {
    "check_sample_weights_pandas_series",
    "check_classifier_data_not_an_array",
    "check_array_api_input",
}
CHECKS = [
    check
    for _, check in estimator_checks_generator(ChoiceEstimator())
    if check.func.__name__ not in FOREIGN
]


class Trial:
    """A model of the first part of planted rows, judged on the rest."""

    def __init__(self, plan: Plan, seed: int, held: int = 500) -> None:
        self.planted = planted = Planted(plan, seed)
        known, self.rest = slice(0, plan.rows - held), np.arange(plan.rows - held, plan.rows)
        self.model = ChoiceModel().fit(planted.contexts[known], planted.titles[known])
        self.films = [self.model.films.get(titles.key(film), -1) for film in planted.films]
        self.popularity = np.bincount(planted.chosen[known], minlength=plan.films)

    def hits(self, shares: Any) -> float:
        return float(metrics(shares, self.planted.chosen[self.rest])[0].mean())

    def ours(self) -> Any:
        questions = [self.planted.contexts[row] for row in self.rest]
        shares = self.model.pipeline.predict_proba(questions)
        return np.hstack([shares, np.zeros((len(questions), 1))])[:, self.films]

    def popular(self) -> Any:
        return np.tile(self.popularity, (len(self.rest), 1))


@pytest.mark.parametrize("name", ["day of week", "one city", "many cities", "habits", "pairs"])
def test_it_comes_close_to_an_oracle_and_far_above_popularity(name: str) -> None:
    trial = Trial(PLANS[name](6_500, 100), seed=1)
    oracle = trial.hits(trial.planted.oracle(trial.rest))
    ours, popular = trial.hits(trial.ours()), trial.hits(trial.popular())
    assert ours >= 0.85 * oracle
    assert ours > popular + 0.2 * (oracle - popular)


@pytest.mark.parametrize("rows", [400, 3_000])
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_on_pure_noise_it_ranks_as_popularity_does(rows: int, seed: int) -> None:
    trial = Trial(PLANS["pure noise"](rows + 500, 60), seed)
    popular = trial.popular() / trial.popular().sum(axis=1, keepdims=True)
    assert np.abs(trial.ours() - popular).max() < 0.06
    assert trial.hits(trial.ours()) >= trial.hits(trial.popular()) - 0.02


@pytest.mark.parametrize(("drift", "seed"), [(2.0, 6), (4.0, 9)])
def test_it_follows_tastes_that_drift(drift: float, seed: int) -> None:
    trial = Trial(Plan(4_000, 200, {"mood": 0.4}, drift=drift), seed)
    oracle, popular = trial.hits(trial.planted.oracle(trial.rest)), trial.hits(trial.popular())
    assert trial.hits(trial.ours()) > popular + 0.5 * (oracle - popular)


def test_a_place_never_seen_gets_what_is_popular_everywhere() -> None:
    cities = [f"City {at}" for at in range(20)]
    rows = [({"city": city}, f"Only in {city}") for city in cities for _ in range(30)]
    rows += [({"city": city}, "Everywhere") for city in cities for _ in range(15)]
    rng = np.random.default_rng(6)
    mixed = [rows[at] for at in rng.permutation(len(rows))]
    model = ChoiceModel().fit([context for context, _ in mixed], [film for _, film in mixed])
    assert model.top({"city": "City 3"}, 1)[0][0] == "Only in City 3"
    assert model.top({"city": "Atlantis"}, 1)[0][0] == "Everywhere"


@pytest.mark.parametrize("cities", [1, 2, 4])
def test_a_missing_or_new_city_does_not_hide_the_mood(cities: int) -> None:
    rows = [
        ({"city": f"City {at % cities}", "mood": "ab"[at % 7 % 2]}, f"For {'ab'[at % 7 % 2]}")
        for at in range(5_200)
    ]
    model = ChoiceModel().fit([context for context, _ in rows], [film for _, film in rows])
    for place in ({}, {"city": ""}, {"city": "Atlantis"}, {"city": "City 0"}):
        for mood in "ab":
            assert model.top({**place, "mood": mood}, 1)[0][0] == f"For {mood}"


def test_figures_say_how_it_did_on_rows_held_out() -> None:
    planted = Planted(PLANS["one city"](2_000, 50), 8)
    figures = ChoiceModel().fit(planted.contexts, planted.titles).figures
    names = {"rows", "hit10", "ndcg10", "log_loss"}
    assert set(figures) == names | {f"popularity_{name}" for name in names - {"rows"}}
    assert figures["rows"] > 1_000
    assert figures["hit10"] > figures["popularity_hit10"] + 0.02
    assert figures["ndcg10"] > figures["popularity_ndcg10"] + 0.02
    assert figures["log_loss"] < figures["popularity_log_loss"] - 0.02


def test_where_it_is_popularity_its_figures_are_popularitys() -> None:
    planted = Planted(PLANS["pure noise"](600, 30), 12)
    figures = ChoiceModel().fit(planted.contexts, planted.titles).figures
    assert figures["rows"] > 300
    for name in ("hit10", "ndcg10", "log_loss"):
        assert figures[name] == figures[f"popularity_{name}"]


def test_places_of_one_row_each_do_not_hide_what_else_is_known() -> None:
    rows = [({"city": f"City {at}", "mood": "ab"[at % 2]}, f"{'AB'[at % 2]}") for at in range(400)]
    model = ChoiceModel().fit([context for context, _ in rows], [film for _, film in rows])
    for city in ("Elsewhere", "City 7", "City 8", ""):
        for mood in "ab":
            assert model.top({"city": city, "mood": mood}, 1)[0][0] == mood.upper()
    assert model.figures["log_loss"] < model.figures["popularity_log_loss"] / 2


@pytest.mark.parametrize("rows", [MIN_ROWS, 200])
@pytest.mark.parametrize(
    "row",
    [
        lambda at: ({"mood": "sad"}, f"Film {at}"),
        lambda at: ({"city": f"City {at}"}, f"Film {at // 2}"),
        lambda at: ({}, f"Film {at % 7}"),
        lambda at: ({"city": f"City {at * 5 // 200}"}, f"Film {at * 9 // 200}"),
        lambda at: ({"city": f"City {at % 30}"}, f"Film {at % 30}"),
        lambda at: (dict.fromkeys(CONTEXT, str(10.0 ** (at % 9) * at)), f"Film {at % 4}"),
        lambda at: (dict.fromkeys(CONTEXT, f"ITEM-{at % 3}"), "One" if at % 20 else "Other"),
    ],
    ids=["films once", "cities once", "no context", "in turns", "certain", "numbers", "one film"],
)
def test_data_of_any_shape_can_be_learned(rows: int, row: Callable[[int], Any]) -> None:
    contexts, films = zip(*map(row, range(rows)), strict=True)
    model = ChoiceModel().fit(contexts, films)
    for context in (contexts[0], {}, dict.fromkeys(CONTEXT, "12")):
        ranked = model.top(context, 1_000)
        assert {film for film, _ in ranked} == set(films)
        assert math.isclose(sum(share for _, share in ranked), 1, rel_tol=1e-4)
        assert all(share > 0 for _, share in ranked)


def test_few_rows_are_popularity() -> None:
    planted = Planted(PLANS["one city"](MIN_ROWS - 1, 8), 9)
    model = ChoiceModel().fit(planted.contexts, planted.titles)
    assert model.figures == {}
    assert model.top({"mood": "sad"}, 8) == model.top({"mood": "happy"}, 8) == model.top({}, 8)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.func.__name__)
def test_the_estimator_keeps_scikit_learns_rules(check: Any) -> None:
    check(ChoiceEstimator())


def test_the_pipeline_can_be_cloned_and_fitted_again() -> None:
    planted = Planted(PLANS["one city"](500, 20), 10)
    model = ChoiceModel().fit(planted.contexts, planted.titles)
    films = [model.films[titles.key(title)] for title in planted.titles]
    again = clone(model.pipeline).set_params(estimate__seed=0).fit(planted.contexts, films)
    questions = [*planted.contexts[:20], {}]
    assert np.allclose(again.predict_proba(questions), model.pipeline.predict_proba(questions))
    assert again.predict(questions).shape == (21,)
    assert again.get_params()["estimate__places"] == model.pipeline["estimate"].places


@pytest.mark.parametrize(
    ("context", "field", "same", "other"),
    [
        ({"weather_desc": "Light Rain"}, "weather", {"weather_desc": "drizzle"}, {}),
        (
            {"weather_desc": "Balmy"},
            "weather",
            {"weather_desc": " balmy "},
            {"weather_desc": "sun"},
        ),
        ({"weekday": "Wed"}, "weekday", {"weekday": "\uc218\uc694\uc77c"}, {"weekday": "Thu"}),
        ({"weekday": "Sat"}, "weekend", {"weekday": "Sunday"}, {"weekday": "Friday"}),
        ({"today_status": "Weekend"}, "today", {"today_status": "off"}, {"today_status": "school"}),
        ({"temperature": "12.5"}, "warmth", {"temperature": "19"}, {"temperature": "20"}),
        ({"mood": "Nostalgic"}, "mood", {"mood": "sad"}, {"mood": "positive"}),
        ({"city": "S\u00e3o Paulo"}, "city", {"city": "sao  paulo"}, {"city": "ITEM-3"}),
        ({"lat": "37.512", "lon": "127.04"}, "place", {"lat": "37.5", "lon": "127"}, {"lat": "37"}),
        ({"lat": "user-7"}, "lat", {"lat": "USER-7 "}, {"lat": "user-8"}),
        ({"lat": "37.512"}, "lat", {"lat": "37.514"}, {"lat": "37.53"}),
        ({"tone": "loading"}, "tone", {"tone": "\t"}, {"tone": "odd"}),
    ],
)
def test_a_context_is_read_by_what_it_means(
    context: Mapping[str, str], field: str, same: Mapping[str, str], other: Mapping[str, str]
) -> None:
    contexts = [context, same, other]
    one, two, three = ContextEncoder().fit(contexts).transform(contexts)[:, NAMES.index(field)]
    assert one == two != three
    # A word that is new says what it means, too.
    by_one = ContextEncoder().fit([context]).transform(contexts)
    assert by_one[:, NAMES.index(field)].tolist() == [one, one, 0]


def test_a_number_falls_into_bins_of_what_was_seen() -> None:
    contexts = [{"temperature": str(300 + degrees / 10)} for degrees in range(80)]
    bins = ContextEncoder().fit(contexts).transform(contexts)[:, NAMES.index("quantile")]
    sizes = np.unique(bins, return_counts=True)[1]
    assert len(sizes) == 8
    assert sizes.max() <= 15


def test_words_beyond_the_most_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moodflix.recommend.learned.encoding.MAX_WORDS", 5)
    contexts = [{"city": f"City {at}"} for at in range(9)]
    encode = ContextEncoder().fit(contexts[:4])
    assert encode.transform(contexts[:5])[:, NAMES.index("city")].tolist() == [1, 2, 3, 4, 0]
    grown = encode.extended(ContextTable(contexts[3:8])).extended(ContextTable(contexts[8:]))
    for each in (grown, ContextEncoder().fit(contexts)):
        codes = [each.transform([one])[0, NAMES.index("city")] for one in contexts]
        assert codes == [1, 2, 3, 4, 5, 0, 0, 0, 0]


def test_counts_are_what_they_say() -> None:
    rows = Rows(np.array([[1, 2], [1, 0], [2, 2], [1, 2]]), np.array([0, 1, 1, 2]), np.ones(4))
    counts = Counts.of(CountPlan(3, 0, 1.0, ((0,), (0, 1))), rows)
    assert counts.chosen.tolist() == [1, 2, 1]
    # Of the two places one chose all three alike, the other film 1 alone.
    assert counts.over_places == pytest.approx([1 / 3, 1 / 3 + 1, 1 / 3])
    assert (np.diff(counts.popularities[:2, 2]) > 0).all()
    codes = np.array([[1, 2], [2, 2], [9, 9]])
    of_films, of_value = counts.dense(codes, (0,))
    assert of_films.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert of_value.tolist() == [[3], [1], [0]]
    assert counts.dense(codes, (0, 1))[0].tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def some_rows(count: int) -> Rows:
    rng = np.random.default_rng(12)
    codes, films = rng.integers(4, size=(count, 2)), rng.integers(9, size=count)
    return Rows(codes, np.minimum(films, rng.integers(9, size=count)), np.ones(count))


def test_what_is_popular_recently_is_what_is_popular_unless_tastes_drift() -> None:
    off = []
    for drift in (1e-9, 0.01, 0.1, 1.0):
        counts = Counts.of(CountPlan(9, 0, drift), some_rows(300))
        off.append(np.abs(counts.popularities[1] - counts.popularities[0]).max())
    assert off[0] < 1e-3
    assert (np.diff(off) > 0).all()


@pytest.mark.parametrize("field", [(0,), (0, 1)])
@pytest.mark.parametrize("place", [None, 0])
def test_a_share_is_the_same_when_learned_and_when_asked_for(
    field: tuple[int, ...], place: int | None
) -> None:
    rows, one = some_rows(60), np.ones(1)
    counts = Counts.of(CountPlan(9, place, 0.1, (field,)), rows)
    learned = HeldOut(counts, rows).shares(field)
    weights = Weights(np.zeros(3), (field,), one, 0 * one)
    predicted = weights.probabilities(counts, rows.codes)
    assert predicted.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    assert predicted[np.arange(60), rows.films] == pytest.approx(learned, rel=1e-4)


def test_a_probability_is_what_the_formula_says() -> None:
    rows = some_rows(60)
    fields: tuple[tuple[int, ...], ...] = ((0,), (1,))
    counts = Counts.of(CountPlan(9, 0, 0.1, fields), rows)
    weights = Weights(np.array([0.1, 0.2, 0.1]), fields, np.array([0.4, 0.2]), np.array([0.5, 1.5]))
    popular = counts.popularities
    for codes in ([1, 2], [3, 0], [9, 9]):
        known = [(rows.codes[:, at] == codes[at]) & (codes[at] > 0) for at in range(2)]
        n = [np.bincount(rows.films[each], minlength=9) for each in known]
        shares = [
            (each + ALPHA * popular[prior]) / (each.sum() + ALPHA)
            for each, prior in zip(n, (OVER_PLACES, ALL_TIME), strict=True)
        ]
        mixed = weights.popularities @ popular + weights.mixture @ shares
        lifts = [(each + KAPPA) / (each.sum() * popular[ALL_TIME] + KAPPA) for each in n]
        expected = mixed * lifts[0] ** 0.5 * lifts[1] ** 1.5
        found = weights.probabilities(counts, np.array([codes]))[0]
        assert found == pytest.approx(expected / expected.sum(), rel=1e-4)
    assert log_lift(np.zeros(1), np.zeros(1)) == 0


def test_mixture_and_exponents_are_those_that_made_the_rows() -> None:
    rng = np.random.default_rng(11)
    parts = rng.dirichlet(np.ones(3), size=(4_000, 3))
    which = rng.choice(3, size=4_000, p=[0.6, 0.3, 0.1])
    drawn = np.array([rng.choice(3, p=parts[row, part]) for row, part in enumerate(which)])
    likely = parts[np.arange(4_000), :, drawn]
    assert em(likely, np.full(4_000, 1 / 4_000)) == pytest.approx([0.6, 0.3, 0.1], abs=0.06)

    features = rng.normal(size=(4_000, 7, 3)).astype(np.float32)
    score = features[:, :-1] @ np.array([1.0, 0.0, 0.5])
    shares = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    drawn = np.array([rng.choice(6, p=row) for row in shares])
    features[:, -1] = features[np.arange(4_000), drawn]
    equal = np.full(4_000, 1 / 4_000, dtype=np.float32)
    flat = np.zeros((4_000, 6), dtype=np.float32)
    found = fit_exponents(features, flat, equal)
    assert found == pytest.approx([1.0, 0.0, 0.5], abs=0.08)
    assert found[1] < 0.03
    # At the best unpenalised point no step would help; here the penalty alone holds it.
    assert np.abs(log_likelihood(features, flat, equal, found)[1]).max() < 0.03
