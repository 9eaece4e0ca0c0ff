"""Merges ranked lists, and fits the weights of the recommenders to what people chose."""

from __future__ import annotations

import random
from collections import defaultdict
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
# a choice, and what the logarithm of the position in the answer adds (Craswell et al., "An
# Experimental Comparison of Click Position-Bias Models", WSDM 2008, find about 1/position).
_COEFFICIENT_MEAN, _COEFFICIENT_SPREAD = 1.5, 1.0
_POSITION_MEAN, _POSITION_SPREAD = -0.8, 0.3
_NEWTON_STEPS = 12
# Exploration: the share of positions it takes, and the first positions, which it never takes.
_EXPLORED, _SAFE = 0.1, 3
# How far down the merged list its films come from, in lengths of the answer.
_DEEPEST = 3


@dataclass(frozen=True)
class RankedList:
    """The picks of one recommender, and their weight."""

    name: str
    picks: Sequence[Pick]
    weight: float = 1.0


@dataclass(frozen=True)
class FusedPick:
    """One film of the merged list; ``sources``: its rank (from 1) in each recommender's list."""

    pick: Pick
    score: float
    sources: Mapping[str, int]
    whys: Mapping[str, str]
    explore: bool = False


@dataclass(frozen=True)
class ChoiceSet:
    """An answer that led to a choice: for each film its ``sources``, and which was chosen."""

    sources: Sequence[Mapping[str, int]]
    chosen: int


def evidence_weight(rows: int) -> float:
    """Return the factor of the learned model's weight: 0 without choices, rising towards 1."""
    return rows / (rows + HALF_EVIDENCE)


def fuse(lists: Iterable[RankedList], n: int) -> list[FusedPick]:
    """Merge by reciprocal rank fusion: score(film) = sum of weight / (RRF_K + rank).

    A film of several lists is shown in the first one's spelling. A pick without a year is the film
    of that title which another list names with its year. Ties keep the order of the lists, unknown
    films last. Lists of weight 0 are left out.
    """
    lists = [ranked for ranked in lists if ranked.weight > 0]
    picks = [pick for ranked in lists for pick in ranked.picks]
    years: dict[str, int] = {}
    if any(pick.year is None for pick in picks):
        # In reverse, so that the first list decides.
        years = {pick.undated_key: pick.year for pick in reversed(picks) if pick.year is not None}
    by_film: dict[str, list[tuple[RankedList, int, Pick]]] = defaultdict(list)
    for ranked in lists:
        for rank, pick in enumerate(ranked.picks, start=1):
            has_year = pick.year is not None or pick.key not in years
            dated = pick if has_year else replace(pick, year=years[pick.key])
            by_film[dated.key].append((ranked, rank, dated))
    fused = [
        FusedPick(
            # The first that is known, else the first.
            pick=max((pick for *_, pick in entries), key=lambda pick: pick.known),
            score=sum(ranked.weight / (RRF_K + rank) for ranked, rank, _ in entries),
            sources={ranked.name: rank for ranked, rank, _ in entries},
            whys={ranked.name: pick.why for ranked, _, pick in entries},
        )
        for entries in by_film.values()
    ]
    return sorted(fused, key=lambda film: (-film.score, not film.pick.known))[:n]


def with_exploration(fused: Sequence[FusedPick], n: int, query: Query) -> list[FusedPick]:
    """Return the best ``n``, a tenth of them replaced by films from further down.

    The same evening explores the same films. The first three positions and the LLM's films stay.
    """
    shown = list(fused[:n])
    deeper = [film for film in fused[n : n * _DEEPEST] if film.pick.known]
    rng = random.Random(query.evening_seed)  # noqa: S311 - no secret
    # A fraction is a probability: an answer of five explores on every second evening.
    for _ in range(int(n * _EXPLORED + rng.random())):
        replaceable = [
            position
            for position, film in enumerate(shown)
            if position >= _SAFE and not film.explore and LLM not in film.sources
        ]
        if not replaceable or not deeper:
            break
        del shown[replaceable[-1]]
        explored = replace(deeper.pop(rng.randrange(len(deeper))), explore=True)
        shown.insert(rng.randint(_SAFE, len(shown)), explored)
    return shown


def fit_weights(choice_sets: Sequence[ChoiceSet]) -> dict[str, float]:
    """Return the weight of each recommender, fitted to what people chose among the films shown.

    A conditional logit (McFadden 1974) over the films of each answer: the log-odds of a choice
    are the sum of coefficient x (RRF_K + 1) / (RRF_K + rank) over the recommenders, and a term for
    the position. The coefficients have a normal prior, which without choices gives ``PRIORS``.
    Fitted by Newton's method; weights are limited to ``MIN_WEIGHT`` and ``MAX_WEIGHT``.
    """
    import numpy as np

    if not choice_sets:
        return dict(PRIORS)
    names = tuple(PRIORS)
    prior = np.array([*(_COEFFICIENT_MEAN * PRIORS[name] for name in names), _POSITION_MEAN])
    precision = np.array([_COEFFICIENT_SPREAD] * len(names) + [_POSITION_SPREAD]) ** -2.0
    longest = max(len(answer.sources) for answer in choice_sets)
    films = np.zeros((len(choice_sets), longest, len(prior)))
    # Added to the logits: shorter answers are filled up with films of probability 0.
    mask = np.full((len(choice_sets), longest, 1), -np.inf)
    for row, answer in enumerate(choice_sets):
        for position, sources in enumerate(answer.sources):
            ranks = (sources.get(name, np.inf) for name in names)
            gains = ((RRF_K + 1) / (RRF_K + rank) for rank in ranks)
            films[row, position] = [*gains, np.log(position + 1)]
            mask[row, position] = 0
    chosen = films[np.arange(len(choice_sets)), [answer.chosen for answer in choice_sets]]
    coefficients = prior.copy()
    for _ in range(_NEWTON_STEPS):
        logits = films @ coefficients[:, None] + mask
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        means = (shares * films).sum(axis=1)
        gradient = (chosen - means).sum(axis=0) - precision * (coefficients - prior)
        hessian = np.tensordot(shares * films, films, ([0, 1], [0, 1])) - means.T @ means
        step = np.linalg.solve(hessian + np.diag(precision), gradient)
        coefficients += step / max(1.0, float(np.linalg.norm(step)))
    gains_of_lists = np.maximum(coefficients[:-1], 0)
    scale = max(gains_of_lists.mean(), _COEFFICIENT_SPREAD)
    weights = np.clip(gains_of_lists / scale, MIN_WEIGHT, MAX_WEIGHT)
    return dict(zip(names, map(float, weights), strict=True))
