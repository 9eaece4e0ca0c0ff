"""A sample of what the dashboard shows: months of made-up visitors, in a database of its own.

Beside the station's: what nobody chose there is neither learned from nor exported.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta, tzinfo
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy.orm import Session

from moodflix import clock, vocabulary
from moodflix.films import shipped, titles
from moodflix.learning import training
from moodflix.learning.files import ModelInfo
from moodflix.recommend import fusion
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.fusion import Fused, RankedList, fuse, with_exploration
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.recommend.llm import recommender as llm
from moodflix.recommend.query import Pick, Query, Recommender
from moodflix.requests import LogRow
from moodflix.store import answers, logs, migration
from moodflix.store.database import Database
from moodflix.vocabulary import FACE, HAND, LLM, VOICE, WORDS

if TYPE_CHECKING:
    from numpy import ndarray
    from numpy.random import Generator

    Array = ndarray[Any, Any]

Choice = TypeVar("Choice")

_NAME: Final = "demo.sqlite3"
# On a working day and on any other; each hour's share of them.
_VISITORS: Final = (28, 42)
_HOURS: Final[tuple[dict[int, int], ...]] = (
    dict(zip(range(16, 24), (1, 2, 4, 7, 9, 8, 5, 2), strict=True)),
    dict(zip(range(12, 24), (2, 3, 4, 4, 4, 5, 6, 8, 9, 8, 6, 4), strict=True)),
)
# How common a mood is, and how many times that on some occasions.
_MOODS: Final = dict(zip(vocabulary.MOODS, (2, 1, 1.5, 6, 4, 2.5, 4), strict=True))
_MONDAY: Final = {"angry": 2.5, "disgust": 2.0, "happy": 0.6}
_WEEKEND: Final = {"happy": 1.8, "surprise": 1.5, "angry": 0.5}
_LATE: Final = {"sad": 2.0, "fear": 2.2, "happy": 0.7}
_TONES: Final = {
    "happy": ("happy", "excited"),
    "sad": ("sad", "subdued"),
    "angry": ("angry", "excited"),
}
_WEATHER: Final = ("clear sky", "few clouds", "overcast clouds", "mist", "light rain", "heavy rain")
_FREE, _NIGHT = (5, 6), 22
_PLACE: Final = {"city": "Seoul", "lat": "37.57", "lon": "126.98"}
# How the mood gets known, how often that is right, and what else it is taken for.
_SIGNALS: Final = {HAND: 0.3, WORDS: 0.3, FACE: 0.4}
_RIGHT: Final = {HAND: 1.0, WORDS: 0.9, FACE: 0.75}
_TAKEN_FOR: Final = {
    "angry": ("disgust", "neutral"),
    "disgust": ("angry", "sad"),
    "fear": ("surprise", "sad"),
    "happy": ("surprise", "neutral"),
    "neutral": ("sad", "happy"),
    "sad": ("neutral", "fear"),
    "surprise": ("fear", "happy"),
}
_CORRECTED: Final = 0.6
# Share of films a visitor would take, of looking at the next one, of naming one of their own.
_TAKEN, _READS_ON, _NAMES_OWN = 0.02, 0.9, 0.3
# How far tastes differ between people, how much less a film is liked by those who saw it of late,
# and how far the LLM misjudges a taste.
_OWN, _SEEN, _LLM_ERRS = 1.8, 1.0, 2.5
# How the LLM fares on any day, and on a bad one, of which there is one a month.
_GOOD_DAY: Final = {llm.USED: 0.95, llm.PARTIAL: 0.035, llm.UNAVAILABLE: 0.015}
_BAD_DAY: Final = {llm.USED: 0.3, llm.PARTIAL: 0.3, llm.UNAVAILABLE: 0.4}
_SHOWN, _DEPTH, _LEARNS_EVERY = 10, 40, 14


def path(instance_path: str) -> Path:
    """Return where the sample is, if there is one."""
    return Path(instance_path) / _NAME


def remove(instance_path: str) -> bool:
    """Delete the sample, and what a load that was killed left; return whether there was any."""
    found = list(Path(instance_path).glob(f"{_NAME}*"))
    for each in found:
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    return bool(found)


def load(  # noqa: PLR0913, PLR0917 - when and where a sample is made
    instance_path: str,
    days: int,
    seed: int,
    now: datetime,
    shown: Callable[[Iterable[int]], Iterable[int]] = iter,
    zone: tzinfo | None = None,
) -> int:
    """Make a sample of the days until ``now``, in place of any other; return its choices.

    The same seed makes the same one. ``shown`` may look at the days as they go by.

    Raises:
        DatabaseUnavailableError: it can't be stored.
    """
    place = path(instance_path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{_NAME}.", dir=place.parent) as spare:
        database = Database(f"sqlite:///{spare}/{_NAME}", zone=zone)
        try:
            migration.upgrade(database)
            with database.write() as session:
                made = _Made(session, seed, now)
                for day in shown(range(days)):
                    made.live(day, clock.local(now, zone).date() - timedelta(days - 1 - day))
                choices = logs.count(session)
        finally:
            database.seal()
        (Path(spare) / _NAME).replace(place)
    return choices


class _Tastes:
    """How visitors like films: by fame, by what is new to them, and by the evening."""

    def __init__(self, rng: Generator) -> None:
        import numpy as np

        films = shipped.films()
        self._lately = np.zeros(len(films))
        self._fame = [0.5 * film.renown for film in films] + rng.normal(0, 0.6, len(films))
        self._moods = {
            mood: [film.moods.get(mood, 0) for film in films] + rng.normal(0, 0.8, len(films))
            for mood in _MOODS
        }
        occasions = (*_WEATHER, *vocabulary.DAYS)
        self._occasions = {word: rng.normal(0, 0.5, len(films)) for word in occasions}

    def another_day(self, rng: Generator) -> None:
        """Let what was liked of late fade, and something else come up."""
        self._lately *= 0.9
        self._lately[rng.choice(len(self._lately), 3)] += 3

    def seen(self, place: int) -> None:
        """Let those who saw a film have no need of it for some days."""
        self._lately[place] -= _SEEN

    def of(self, context: Mapping[str, str], rng: Generator) -> Array:
        """Return how one visitor likes each film."""
        liking: Array = self._fame + self._lately + self._moods[context["mood"]]
        for name in ("weather_desc", "today_status"):
            liking = liking + self._occasions[context[name]]
        return liking + rng.normal(0, _OWN, len(liking))


class _Made:
    """A station whose visitors are made up; what it ranks, merges, learns and stores is not."""

    def __init__(self, session: Session, seed: int, now: datetime) -> None:
        import numpy as np

        self._session, self._seed, self._now = session, seed, now
        self._zone = session.info["zone"]
        self._films = shipped.films()
        self._places = {film.key: place for place, film in enumerate(self._films)}
        self._catalogue, self._context = Catalogue(), LearnedRecommender()
        self._learned: Mapping[str, float] = fusion.PRIORS
        self._counted = self._trained = 0
        self._own: dict[str, tuple[list[RankedList], list[int]]] = {}
        self._rng = np.random.default_rng(seed)
        self._tastes = _Tastes(self._rng)
        self._llm = _GOOD_DAY

    def live(self, number: int, day: date) -> None:
        """Let one day's visitors come, up to now, and learn from them."""
        import numpy as np

        self._day = number
        # Of its own: how far today has come changes no other day.
        rng = self._rng = np.random.default_rng([self._seed, number])
        self._own.clear()
        self._tastes.another_day(rng)
        self._llm = _BAD_DAY if number % 30 == self._seed % 30 else _GOOD_DAY
        with self._session.no_autoflush:
            for moment, context in _visitors(day, rng, self._zone):
                if moment > self._now:
                    break
                self._visit(moment, context)
        night = min(clock.start_of(day + timedelta(1), self._zone), self._now)
        self._learn(night, anew=number % _LEARNS_EVERY == _LEARNS_EVERY - 1)

    def _visit(self, moment: datetime, context: Mapping[str, str]) -> None:
        rng, mood = self._rng, context["mood"]
        liking = self._tastes.of(context, rng)
        signal = _one_of(_SIGNALS, rng)
        right = rng.random() < _RIGHT[signal]
        read = {**context, "mood": mood if right else str(rng.choice(_TAKEN_FOR[mood]))}
        answer, shown = self._answer(moment, read, signal, liking)
        if not right and rng.random() < _CORRECTED:
            moment, read = _later(moment, 8, 30, rng), {**context}
            answer, shown = self._answer(moment, read, HAND, liking, corrects=answer)
        best = (-liking).argsort()[: int(_TAKEN * len(liking))]
        looked_at = [each.pick for each in shown[: rng.geometric(1 - _READS_ON)]]
        good = {self._films[place].key for place in best}
        title = next((pick.title for pick in looked_at if pick.key in good), None)
        if title is None and rng.random() < _NAMES_OWN:
            title = self._films[best[0]].title
        if title is not None:
            moment = _later(moment, 15, 150, rng)
            row = LogRow(client_sent_at=moment.isoformat(), movie_title=title, **read)
            logs.add(self._session, row, moment, answer)
            self._tastes.seen(self._places[titles.key(title)])

    def _answer(
        self,
        moment: datetime,
        context: Mapping[str, str],
        signal: str,
        liking: Array,
        corrects: str | None = None,
    ) -> tuple[str, list[Fused]]:
        """Store what the station answers; return the answer's id and its films."""
        rng = self._rng
        query = Query(context, hour=moment.hour, seed=self._day)
        own, candidates = self._ranked(query)
        status = _one_of(self._llm, rng)
        named = [] if status == llm.UNAVAILABLE else self._named(candidates, liking)
        if status == llm.PARTIAL:
            del named[2:]
        fused = fuse([RankedList(LLM, named, self._learned[LLM]), *own], _SHOWN * 3)
        shown = with_exploration(fused, _SHOWN, query)
        numbers = _numbers(status, rng)
        answer = {
            "id": (name := rng.bytes(16).hex()),
            "answered_at": moment,
            "context": dict(context),
            "corrects": corrects,
            "mood_source": signal,
            "tone_source": VOICE if signal == FACE else signal,
            "llm_status": status,
            "llm_numbers": numbers.as_json(),
            "seconds": numbers.total + float(rng.uniform(0.02, 0.08)),
        }
        picks = [
            {"film_key": pick.key, "title": pick.title, "year": pick.year, "sources": each.sources}
            for pick, each in ((each.pick, each) for each in shown)
        ]
        answers.record(self._session, answer, picks)
        return name, shown

    def _ranked(self, query: Query) -> tuple[list[RankedList], list[int]]:
        """Return the station's own lists, and the best of both, which the LLM may choose from.

        To save time they are the same for all who feel so on this day.
        """
        mood = query.context["mood"]
        if mood not in self._own:
            evidence = fusion.evidence_weight(self._context.model.rows)
            own: tuple[tuple[Recommender, float], ...] = (
                (self._context, evidence),
                (self._catalogue, 1.0),
            )
            lists = [
                RankedList(each.name, each.rank(query, _DEPTH), self._learned[each.name] * worth)
                for each, worth in own
            ]
            self._own[mood] = lists, [self._places[each.pick.key] for each in fuse(lists, _DEPTH)]
        return self._own[mood]

    def _named(self, candidates: list[int], liking: Array) -> list[Pick]:
        """Return what the LLM names: of the candidates and two others, what it thinks is liked."""
        places = [*candidates, *self._rng.choice(len(liking), 2)]
        guessed = liking[places] + self._rng.normal(0, _LLM_ERRS, len(places))
        best = [self._films[places[at]] for at in (-guessed).argsort()[: llm.MAX_FILMS]]
        return [Pick(film.title, film.year) for film in best]

    def _learn(self, now: datetime, *, anew: bool) -> None:
        """Count what was chosen since, and now and then learn anew what all of it is worth."""
        session, model = self._session, self._context.model
        for contexts, chosen in logs.choices(session, self._counted):
            model = model.updated(contexts, chosen)
        first, self._counted = logs.id_range(session)
        if anew and model.rows:
            shown = answers.choice_sets(session, 2_000)
            self._learned = fusion.learn([fusion.ChoiceSet(*each) for each in shown])
            model = ChoiceModel().fit_stream(logs.choices(session))
            about = ModelInfo(
                made_at=now,
                rows=model.rows,
                first_id=first,
                last_id=self._counted,
                seconds=0,
                figures=model.figures,
                worse=training.is_worse(model.figures),
            )
            self._trained += 1
            session.add(training.as_row(self._trained, about))
            if about.worse:
                model = training.popularity(logs.choices(session))
        self._context.model = model


def _visitors(
    day: date, rng: Generator, zone: tzinfo | None
) -> Iterator[tuple[datetime, dict[str, str]]]:
    """Yield when people come on a day, and in what context, in their order."""
    free, free_tomorrow = (each.weekday() in _FREE for each in (day, day + timedelta(1)))
    season = math.cos(2 * math.pi * (day.timetuple().tm_yday - 20) / 365)
    context = _PLACE | {
        "today_status": vocabulary.DAYS[free],
        "tomorrow_status": vocabulary.DAYS[free_tomorrow],
        "weekday": f"{day:%A}",
        "weather_desc": str(rng.choice(_WEATHER)),
        "temperature": str(round(12 - 14 * season + rng.normal(0, 3))),
    }
    hours = [_one_of(_HOURS[free], rng) for _ in range(rng.poisson(_VISITORS[free]))]
    seconds = [3600 * hour + int(rng.integers(3600)) for hour in hours]
    for each in sorted(seconds):
        late = each >= 3600 * _NIGHT
        tilts = [_MONDAY] * (day.weekday() == 0) + [_WEEKEND] * free + [_LATE] * late
        shares = {
            mood: share * math.prod(tilt.get(mood, 1.0) for tilt in tilts)
            for mood, share in _MOODS.items()
        }
        mood = _one_of(shares, rng)
        tone = str(rng.choice(_TONES.get(mood, (vocabulary.NEUTRAL,))))
        moment = clock.start_of(day, zone) + timedelta(seconds=each)
        yield clock.local(moment, zone), {**context, "mood": mood, "tone": tone}


def _numbers(status: str, rng: Generator) -> llm.Numbers:
    """Return what an answer of the LLM cost."""
    if status == llm.UNAVAILABLE:
        return llm.Numbers(total=float(rng.uniform(2, 60)))
    total = 60.0 if status == llm.PARTIAL else float(rng.lognormal(2, 0.35))
    return llm.Numbers(
        queue=float(rng.exponential(0.5)),
        first_film=total / 3,
        total=total,
        tokens_per_second=float(rng.normal(21, 2)),
        prompt_tokens=int(rng.integers(700, 900)),
    )


def _one_of(shares: Mapping[Choice, float], rng: Generator) -> Choice:
    """Return one of some things, each as likely as its share says."""
    reached = list(accumulate(shares.values()))
    return list(shares)[bisect(reached, rng.random() * reached[-1])]


def _later(moment: datetime, least: int, most: int, rng: Generator) -> datetime:
    return moment + timedelta(seconds=int(rng.integers(least, most)))
