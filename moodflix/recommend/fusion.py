"""Pure merge of ranked lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from moodflix.recommend.ranking import Pick

# The constant of reciprocal rank fusion: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion
# outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009. Their 60 suits lists of
# a thousand; in lists of some ten it would leave a recommender of less than full weight unseen.
RRF_K = 10
# Rows at which the context model weighs half of what it ever will.
HALF_EVIDENCE = 20


@dataclass(frozen=True)
class RankedList:
    """What one recommender answered, and how much it counts."""

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


def evidence_weight(rows: int) -> float:
    """Return the context model's weight after ``rows`` choices: 0 at none, growing towards 1.

    It never exceeds the others' 1, so the log can't drown the LLM or the catalogue.
    """
    return rows / (rows + HALF_EVIDENCE)


def fuse(lists: Iterable[RankedList], n: int) -> list[Fused]:
    """Merge by reciprocal rank fusion: score(film) = sum of weight / (RRF_K + rank).

    A film two lists name is shown in the first list's spelling, with a year if any knows it.
    Ties keep the order of the lists, unknown films last. Lists of weight 0 are left out.
    """
    picks: dict[str, Pick] = {}
    scores: dict[str, float] = {}
    sources: dict[str, dict[str, int]] = {}
    whys: dict[str, dict[str, str]] = {}
    for ranked in lists:
        if ranked.weight <= 0:
            continue
        for rank, pick in enumerate(ranked.picks, start=1):
            key = pick.key
            known = picks.setdefault(key, pick)
            if pick.known and not known.known:
                picks[key] = pick
            elif known.year is None and pick.year is not None:
                picks[key] = Pick(known.title, pick.year)
            scores[key] = scores.get(key, 0.0) + ranked.weight / (RRF_K + rank)
            sources.setdefault(key, {})[ranked.name] = rank
            whys.setdefault(key, {})[ranked.name] = pick.why
    best = sorted(scores, key=lambda key: (-scores[key], not picks[key].known))[:n]
    return [Fused(picks[key], scores[key], sources[key], whys[key]) for key in best]
