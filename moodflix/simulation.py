"""Made-up people who use a real station: who comes when, in what mood, and what they would watch.

The demo fills its dashboard with them, and ``benchmarks/simulate.py`` measures how often the
station shows them a film that they would take. The LLM is a script.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from moodflix import clock, vocabulary
from moodflix.config import Settings
from moodflix.films import shipped
from moodflix.instance import Instance
from moodflix.learning import training
from moodflix.learning.files import ModelStore
from moodflix.perception.merge import Estimate, Perceived
from moodflix.recommend.answer import (
    OFF,
    PARTIAL,
    UNAVAILABLE,
    USED,
    Candidates,
    LlmAnswer,
    LlmEvents,
    NoLlm,
    Numbers,
)
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.learned.model import LearnedRecommender
from moodflix.recommend.llm.recommender import MAX_FILMS
from moodflix.recommend.query import Pick, Query
from moodflix.requests import InferenceRequest, LogRequest
from moodflix.station import Station
from moodflix.store.database import Database
from moodflix.vocabulary import FACE, HAND, VOICE, WORDS

if TYPE_CHECKING:
    from numpy import ndarray
    from numpy.random import Generator

    Array = ndarray[Any, Any]

Choice = TypeVar("Choice")

FILMS_SHOWN: Final = 10
# Each hour's share of the visitors of a working day and of any other.
_HOUR_SHARES: Final[tuple[dict[int, int], ...]] = (
    dict(zip(range(16, 24), (1, 2, 4, 7, 9, 8, 5, 2), strict=True)),
    dict(zip(range(12, 24), (2, 3, 4, 4, 4, 5, 6, 8, 9, 8, 6, 4), strict=True)),
)
# How common each mood is, and how many times as common on some occasions.
_MOOD_SHARES: Final = dict(zip(vocabulary.MOODS, (2, 1, 1.5, 6, 4, 2.5, 4), strict=True))
_MONDAY_MOODS: Final = {"angry": 2.5, "disgust": 2.0, "happy": 0.6}
_WEEKEND_MOODS: Final = {"happy": 1.8, "surprise": 1.5, "angry": 0.5}
_LATE_MOODS: Final = {"sad": 2.0, "fear": 2.2, "happy": 0.7}
_TONES: Final = {
    "happy": ("happy", "excited"),
    "sad": ("sad", "subdued"),
    "angry": ("angry", "excited"),
}
_WEATHER: Final = ("clear sky", "few clouds", "overcast clouds", "mist", "light rain", "heavy rain")
_SATURDAY, _LATE_HOUR = 5, 22
_LOCATION: Final = {"city": "Seoul", "lat": "37.57", "lon": "126.98"}
# How often a mood is read correctly from a signal, and what it is mistaken for.
_READ_CORRECTLY: Final = {HAND: 1.0, WORDS: 0.9, FACE: 0.75}
_MISTAKEN_FOR: Final = {
    "angry": ("disgust", "neutral"),
    "disgust": ("angry", "sad"),
    "fear": ("surprise", "sad"),
    "happy": ("surprise", "neutral"),
    "neutral": ("sad", "happy"),
    "sad": ("neutral", "fear"),
    "surprise": ("fear", "happy"),
}
# Probability that a wrong mood is corrected.
_CORRECTED: Final = 0.6
# Share of films that a visitor would take, and the probabilities that they look at the next film
# and that they name one of their own.
_SHARE_TAKEN, _LOOKS_ON, _NAMES_OWN = 0.02, 0.9, 0.3
_LLM_DEADLINE: Final = 60.0
# Films that the LLM names beside its candidates.
_LLM_OTHERS: Final = 2


@dataclass(frozen=True)
class Visit:
    """One visitor on one evening.

    Attributes:
        now: when they come; ``decides_at`` is when they choose, if they do.
        context: the ten context columns, with the mood they are really in.
        source: the signal their mood is read from; ``read_mood`` is what is read.
        corrects_at: when they correct a wrong mood; ``None`` if they don't.
        takes: keys of the films they would take.
        looks_at: how many of the films shown they look at.
        own_film: the title that they name if they would take none of those, if any.
        seed: seed of all random numbers of this visit.
    """

    now: datetime
    decides_at: datetime
    context: Mapping[str, str]
    source: str
    read_mood: str
    corrects_at: datetime | None
    takes: frozenset[str]
    looks_at: int
    own_film: str | None
    seed: Sequence[int]

    def choice(self, shown: Sequence[str]) -> str | None:
        """Return the title that they choose from those shown, else their own film if any."""
        for title in shown[: self.looks_at]:
            if shipped.key_of(title) in self.takes:
                return title
        return self.own_film


class Visitors:
    """The people who visit one station; their tastes drift from day to day."""

    def __init__(
        self,
        seed: int,
        per_day: tuple[float, float],
        sources: Mapping[str, float],
        zone: tzinfo | None = None,
    ) -> None:
        """Draw their tastes.

        Args:
            seed: of all random numbers.
            per_day: visitors expected on a working day and on any other.
            sources: share of visitors by the signal that their mood is read from.
            zone: the time zone they live in.
        """
        import numpy as np

        self._seed, self._per_day, self._sources, self._zone = seed, per_day, sources, zone
        rng = np.random.default_rng(seed)
        self._films = shipped.films()
        count = len(self._films)
        self._fame = [0.5 * film.renown for film in self._films] + rng.normal(0, 0.6, count)
        self._fashion = np.zeros(count)
        self._moods = {
            mood: [film.moods.get(mood, 0) for film in self._films] + rng.normal(0, 0.8, count)
            for mood in _MOOD_SHARES
        }
        self._occasions = {
            word: rng.normal(0, 0.5, count) for word in (*_WEATHER, *vocabulary.DAY_KINDS)
        }

    def of_day(self, number: int, day: date) -> Iterator[Visit]:
        """Yield the visits of the station's next day, in their order."""
        import numpy as np

        # Seeded by the day, so that how much of a day is used changes no other day.
        rng = np.random.default_rng([self._seed, number])
        self._fashion *= 0.9
        self._fashion[rng.choice(len(self._films), 3)] += 3
        for index, (since_midnight, context) in enumerate(_arrivals(day, self._per_day, rng)):
            moment = clock.local(clock.start_of(day, self._zone) + since_midnight, self._zone)
            yield self._visit(moment, context, rng, [self._seed, number, index])

    def _visit(
        self, moment: datetime, context: Mapping[str, str], rng: Generator, seed: Sequence[int]
    ) -> Visit:
        liking: Array = self._fame + self._fashion + self._moods[context["mood"]]
        for name in ("weather_desc", "today_status"):
            liking = liking + self._occasions[context[name]]
        liking = liking + rng.normal(0, 1.2, len(liking))
        best = (-liking).argsort()[: int(_SHARE_TAKEN * len(liking))]
        mood, source = context["mood"], _weighted_choice(self._sources, rng)
        is_right = rng.random() < _READ_CORRECTLY[source]
        corrected = not is_right and rng.random() < _CORRECTED
        corrects_at = moment + timedelta(seconds=int(rng.integers(8, 30))) if corrected else None
        decides_in = timedelta(seconds=int(rng.integers(15, 150)))
        return Visit(
            now=moment,
            decides_at=(corrects_at or moment) + decides_in,
            context=context,
            source=source,
            read_mood=mood if is_right else str(rng.choice(_MISTAKEN_FOR[mood])),
            corrects_at=corrects_at,
            takes=frozenset(self._films[index].film_key for index in best),
            looks_at=int(rng.geometric(1 - _LOOKS_ON)),
            own_film=self._films[rng.choice(best)].title if rng.random() < _NAMES_OWN else None,
            seed=seed,
        )


def _arrivals(
    day: date, per_day: tuple[float, float], rng: Generator
) -> Iterator[tuple[timedelta, dict[str, str]]]:
    """Yield the time since midnight at which each person comes, and the context columns."""
    is_free_day, is_tomorrow_free = (
        date_.weekday() >= _SATURDAY for date_ in (day, day + timedelta(1))
    )
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - 20) / 365)
    context = _LOCATION | {
        "today_status": vocabulary.DAY_KINDS[is_free_day],
        "tomorrow_status": vocabulary.DAY_KINDS[is_tomorrow_free],
        "weekday": f"{day:%A}",
        "weather_desc": str(rng.choice(_WEATHER)),
        "temperature": str(round(12 - 14 * season + rng.normal(0, 3))),
    }
    hours = [
        _weighted_choice(_HOUR_SHARES[is_free_day], rng)
        for _ in range(rng.poisson(per_day[is_free_day]))
    ]
    seconds = sorted(3600 * hour + int(rng.integers(3600)) for hour in hours)
    for second in seconds:
        late = second >= 3600 * _LATE_HOUR
        occasions = (
            [_MONDAY_MOODS] * (day.weekday() == 0)
            + [_WEEKEND_MOODS] * is_free_day
            + [_LATE_MOODS] * late
        )
        shares = {
            mood: share * math.prod(factors.get(mood, 1.0) for factors in occasions)
            for mood, share in _MOOD_SHARES.items()
        }
        mood = _weighted_choice(shares, rng)
        tone = str(rng.choice(_TONES.get(mood, (vocabulary.NEUTRAL,))))
        yield timedelta(seconds=second), {**context, "mood": mood, "tone": tone}


class ScriptedLlm(NoLlm):
    """Names films, a share of which the visitor would take; its clock counts simulated seconds."""

    def __init__(self, quality: float, statuses: Mapping[str, float] | None = None) -> None:
        """Set the share of films that the visitor would take, and the shares of statuses."""
        self.quality = quality
        self.statuses = statuses or {USED: 1.0}
        self.visit: Visit
        self._films = {film.film_key: Pick(film.title, film.year) for film in shipped.films()}
        self._seconds = 0.0

    def clock(self) -> float:
        """Return the seconds that all answers so far took."""
        return self._seconds

    def ask(self, query: Query, limit: int, candidates: Candidates = tuple) -> LlmEvents:
        """Answer for the visit."""
        del query
        import numpy as np

        rng = np.random.default_rng(self.visit.seed)
        status = _weighted_choice(self.statuses, rng)
        numbers = _numbers(status, rng)
        self._seconds += numbers.total + float(rng.uniform(0.02, 0.08))
        kept = {USED: limit, PARTIAL: 2}.get(status, 0)
        picks = self._picks(min(limit, MAX_FILMS), candidates(), rng)[:kept]
        yield LlmAnswer(status, "scripted", picks=picks, numbers=numbers)

    def _picks(self, n: int, candidates: Sequence[Pick], rng: Generator) -> list[Pick]:
        """Choose among the candidates and name up to two others; without any, name any films."""
        takes, others = self.visit.takes, _LLM_OTHERS
        if not candidates:
            candidates, others = list(self._films.values()), 0
        hits = [pick for pick in candidates if pick.key in takes]
        misses = [pick for pick in candidates if pick.key not in takes]
        wanted_hits = int((rng.random(n) < self.quality).sum())
        chosen = [hits[index] for index in rng.permutation(len(hits))[:wanted_hits]]
        unlisted = sorted(takes - {pick.key for pick in hits})
        named = rng.permutation(len(unlisted))[: min(wanted_hits - len(chosen), others)]
        chosen += [self._films[unlisted[index]] for index in named]
        chosen += [misses[index] for index in rng.permutation(len(misses))[: n - len(chosen)]]
        return [chosen[index] for index in rng.permutation(len(chosen))]


def _numbers(status: str, rng: Generator) -> Numbers:
    if status == OFF:
        return Numbers()
    if status == UNAVAILABLE:
        return Numbers(total=float(rng.uniform(2, _LLM_DEADLINE)))
    total = _LLM_DEADLINE if status == PARTIAL else float(rng.lognormal(2, 0.35))
    return Numbers(
        queue=float(rng.exponential(0.5)),
        first_film=total / 3,
        total=total,
        tokens_per_second=float(rng.normal(21, 2)),
        prompt_tokens=int(rng.integers(700, 900)),
    )


class Showing(Protocol):
    """Shows films to visitors and logs what they choose."""

    def show(self, visit: Visit) -> list[str]:
        """Return titles, best first."""
        ...

    def choose(self, visit: Visit, title: str) -> None:
        """Log a choice."""
        ...


def simulate(visits: Iterable[Visit], station: Showing) -> Iterator[tuple[Visit, list[str]]]:
    """Let visitors look and choose; yield each visit with the titles that were shown."""
    for visit in visits:
        shown = station.show(visit)
        title = visit.choice(shown)
        if title is not None:
            station.choose(visit, title)
        yield visit, shown


class SimulatedStation:
    """A real station on a migrated database of its own, used by made-up people."""

    def __init__(
        self, database: Database, instance: Instance, catalogue: Catalogue, script: ScriptedLlm
    ) -> None:
        """Build a station that keeps its models in ``instance``."""
        self._database = database
        self._models = ModelStore(instance.models)
        self._script = script
        self._learned = LearnedRecommender()
        self._answer_id: str | None = None
        self._perceived: Perceived
        self._rng: Generator
        self._station = Station(
            database,
            catalogue,
            self._learned,
            script,
            Settings(),
            perceive=lambda _request, _words: self._perceived,
            clock=script.clock,
            new_id=lambda: self._rng.bytes(16).hex(),
        )

    def show(self, visit: Visit) -> list[str]:
        """Answer a visit, and again if the visitor corrects the mood."""
        import numpy as np

        self._rng = np.random.default_rng([*visit.seed, 1])
        self._script.visit = visit
        self._answer_id = None
        shown = self._answer(visit, visit.now, visit.read_mood, visit.source)
        if visit.corrects_at is None:
            return shown
        return self._answer(visit, visit.corrects_at, visit.context["mood"], HAND)

    def _answer(self, visit: Visit, now: datetime, mood: str, source: str) -> list[str]:
        tone = Estimate(visit.context["tone"], VOICE if source == FACE else source, 1.0)
        self._perceived = Perceived(Estimate(mood, source, 1.0), tone)
        request = InferenceRequest.model_validate(
            {"environment": visit.context, "limit": FILMS_SHOWN, "corrects": self._answer_id}
        )
        answer = self._station.answer(request, now)
        self._answer_id = answer.id
        return answer.movies

    def choose(self, visit: Visit, title: str) -> None:
        """Log a choice, and count it as the trainer would."""
        mood = self._perceived.mood.label
        request = LogRequest.model_validate(
            {
                "clientSentAt": visit.decides_at.isoformat(),
                "movieTitle": title,
                "env": visit.context,
                "mood": mood,
                "tone": visit.context["tone"],
                "inferenceId": self._answer_id,
            }
        )
        self._station.log_choice(request.row(), request.inference_id, visit.decides_at)
        context = {**visit.context, "mood": mood}
        self._learned.model = self._learned.model.updated([context], [title])

    def refit(self, now: datetime) -> None:
        """Refit the learned model and the weights of the recommenders, as the trainer would."""
        training.train(self._database, self._models, now=now)
        self._learned.model, _ = training.load_model(self._models, self._models.current() or 0)
        self.refit_weights()

    def refit_weights(self) -> None:
        """Refit the weights of the recommenders."""
        self._station.refit_weights()


def _weighted_choice(shares: Mapping[Choice, float], rng: Generator) -> Choice:
    """Return one key, each with the probability of its share."""
    reached = list(accumulate(shares.values()))
    return list(shares)[bisect(reached, rng.random() * reached[-1])]
