"""Merges ranked lists, and fits the weights of the recommenders to what people chose."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from moodflix.recommend.query import Pick, Query
from moodflix.vocabulary import CATALOGUE, LEARNED, LLM

# The constant of reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion
# outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009. Their 60 suits lists of
# a thousand; in lists of ten a recommender of less than full weight would hardly count.
RRF_K: Final = 10
# Choices at which the learned model has half of its full weight.
HALF_EVIDENCE: Final = 20
#: The weights of the recommenders before any choice.
PRIORS: Final[Mapping[str, float]] = {LLM: 1.0, LEARNED: 1.0, CATALOGUE: 1.0}
MIN_WEIGHT, MAX_WEIGHT = 0.3, 3.0
# Means and standard deviations of the prior: what the first rank of a list adds to the log-odds of
# a choice, and what the logarithm of the place in the answer adds (Craswell et al., "An
# Experimental Comparison of Click Position-Bias Models", WSDM 2008, find about 1/place).
_TASTE, _TASTE_SPREAD = 1.5, 1.0
_PLACE, _PLACE_SPREAD = -0.8, 0.3
_NEWTON_STEPS = 12
# Share of places for films from further down, and places at the top that are never used for it.
_EXPLORED, _SAFE = 0.1, 3
# How far down the merged list they are taken from, in lengths of the answer.
_REACH = 3


@dataclass(frozen=True)
class RankedList:
    """The picks of one recommender, and their weight."""

    name: str
    picks: Sequence[Pick]
    weight: float = 1.0


@dataclass(frozen=True)
class Fused:
    """One film of the merged list, with the rank (from 1) each recommender gave it."""

    pick: Pick
    score: float
    sources: Mapping[str, int]
    whys: Mapping[str, str]
    explore: bool = False


@dataclass(frozen=True)
class ChoiceSet:
    """An answer that led to a choice: the ranks of its films by place, and which was chosen."""

    sources: Sequence[Mapping[str, int]]
    chosen: int


def evidence_weight(rows: int) -> float:
    """Return the factor of the learned model's weight: 0 without choices, growing towards 1."""
    return rows / (rows + HALF_EVIDENCE)


def fuse(lists: Iterable[RankedList], n: int) -> list[Fused]:
    """Merge by reciprocal rank fusion: score(film) = sum of weight / (RRF_K + rank).

    A film two lists name is shown in the first list's spelling; one named without a year is that
    of its title which a list names with one. Ties keep the order of the lists, unknown films
    last. Lists of weight 0 are left out.
    """
    lists = [ranked for ranked in lists if ranked.weight > 0]
    every = [pick for ranked in lists for pick in ranked.picks]
    years: dict[str, int] = {}
    if any(pick.year is None for pick in every):
        for pick in every:
            if pick.year is not None:
                years.setdefault(pick.undated, pick.year)
    named: dict[str, list[tuple[RankedList, int, Pick]]] = {}
    for ranked in lists:
        for rank, pick in enumerate(ranked.picks, start=1):
            undated = pick.year is None and pick.key in years
            dated = replace(pick, year=years[pick.key]) if undated else pick
            named.setdefault(dated.key, []).append((ranked, rank, dated))
    fused = [
        Fused(
            # The first that is known, else the first.
            pick=max((pick for *_, pick in film), key=lambda pick: pick.known),
            score=sum(ranked.weight / (RRF_K + rank) for ranked, rank, _ in film),
            sources={ranked.name: rank for ranked, rank, _ in film},
            whys={ranked.name: pick.why for ranked, _, pick in film},
        )
        for film in named.values()
    ]
    return sorted(fused, key=lambda film: (-film.score, not film.pick.known))[:n]


def with_exploration(fused: Sequence[Fused], n: int, query: Query) -> list[Fused]:
    """Return the best ``n``, a tenth of them replaced by films from further down.

    The same evening explores the same films. The first three places and the LLM's films stay.
    """
    shown = list(fused[:n])
    deeper = [film for film in fused[n : n * _REACH] if film.pick.known]
    rng = random.Random(query.evening_seed)  # noqa: S311 - no secret
    # A fraction is a chance: five places explore on every second evening.
    for _ in range(int(n * _EXPLORED + rng.random())):
        replaceable = [
            place
            for place, film in enumerate(shown)
            if place >= _SAFE and not film.explore and LLM not in film.sources
        ]
        if not replaceable or not deeper:
            break
        del shown[replaceable[-1]]
        found = deeper.pop(rng.randrange(len(deeper)))
        shown.insert(rng.randint(_SAFE, len(shown)), replace(found, explore=True))
    return shown


def learn(shown: Sequence[ChoiceSet]) -> dict[str, float]:
    """Return the weight of each recommender, fitted to what people chose among the films shown.

    A conditional logit (McFadden 1974) over the films of each answer: the log-odds of a choice
    are the sum of coefficient x (RRF_K + 1) / (RRF_K + rank) over the recommenders, and a term for
    the place. The coefficients have a normal prior, which without choices gives ``PRIORS``. Fitted
    by Newton's method; weights are limited to ``MIN_WEIGHT`` and ``MAX_WEIGHT``.
    """
    import numpy as np

    if not shown:
        return dict(PRIORS)
    names = tuple(PRIORS)
    prior = np.array([*(_TASTE * PRIORS[name] for name in names), _PLACE])
    precision = np.array([_TASTE_SPREAD] * len(names) + [_PLACE_SPREAD]) ** -2.0
    longest = max(len(each.sources) for each in shown)
    films = np.zeros((len(shown), longest, len(prior)))
    absent = np.full((len(shown), longest, 1), -np.inf)
    for row, each in enumerate(shown):
        for place, sources in enumerate(each.sources):
            ranks = (sources.get(name, np.inf) for name in names)
            gains = ((RRF_K + 1) / (RRF_K + rank) for rank in ranks)
            films[row, place] = [*gains, np.log(place + 1)]
            absent[row, place] = 0
    chosen = films[np.arange(len(shown)), [each.chosen for each in shown]]
    coefficients = prior.copy()
    for _ in range(_NEWTON_STEPS):
        logits = films @ coefficients[:, None] + absent
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        means = (shares * films).sum(axis=1)
        gradient = (chosen - means).sum(axis=0) - precision * (coefficients - prior)
        hessian = np.tensordot(shares * films, films, ([0, 1], [0, 1])) - means.T @ means
        step = np.linalg.solve(hessian + np.diag(precision), gradient)
        coefficients += step / max(1.0, float(np.linalg.norm(step)))
    tastes = np.maximum(coefficients[:-1], 0)
    weights = np.clip(tastes / max(tastes.mean(), _TASTE_SPREAD), MIN_WEIGHT, MAX_WEIGHT)
    return dict(zip(names, map(float, weights), strict=True))
