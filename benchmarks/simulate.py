"""Stations through 90 days of seeded visitors with hidden tastes: who names what they would take?

Acceptance at 5 is the share of evenings on which at least one of the first five films is one that
the visitor would take. Each kind of station sees the same visitors, and learns from the choices
made there. ``.venv/bin/python -m benchmarks.simulate`` prints a table and writes
``benchmarks/results/simulate.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy import stats  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits

from benchmarks.planted import WORDS
from moodflix import create_app
from moodflix import station as inference
from moodflix.config import Settings
from moodflix.films import shipped as bundled
from moodflix.films import titles
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.learned.model import ChoiceModel, LearnedRecommender
from moodflix.recommend.llm.recommender import OllamaRecommender
from moodflix.recommend.query import Query, Recommender
from moodflix.requests import InferenceRequest, LogRequest
from moodflix.store import logs, migration
from moodflix.store.database import Database
from tests.fake_ollama import FakeOllama, Handler, says

RESULTS = Path(__file__).parent / "results" / "simulate.json"
QUALITIES = (0.2, 0.6)
PERIODS = {"days 1-7": (0, 7), "days 8-30": (7, 30), "days 31-90": (30, 90)}
DAYS, VISITORS = 90, 4
SHOWN, AT = 10, 5
# Share of all films that a visitor would take on an evening.
_TAKEN = 0.02
# Who looks at a film looks at the next with this chance.
_READS_ON = 0.9
# Who found nothing names a film of their own this often.
_NAMES_OWN = 0.3
_REFIT, _REWEIGH = 40, 5
_MOODS = {"happy": 5, "sad": 4, "neutral": 4, "angry": 2, "fear": 2, "surprise": 2, "disgust": 1}
_FIRST = datetime(2026, 1, 5, 20, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Visit:
    """One evening of one visitor: when, in what context, and which films they would take."""

    now: datetime
    context: Mapping[str, str]
    takes: Sequence[int]
    looks_at: int
    names_own: int | None

    def query(self) -> Query:
        """Return what a recommender is asked."""
        moment = self.now.astimezone()
        return Query(self.context, hour=moment.hour, date=moment.date().isoformat())


def visits(seed: int) -> Iterator[Visit]:
    """Yield the visits of a station's first 90 days; tastes are its visitors' own."""
    rng = np.random.default_rng(seed)
    shipped = bundled.films()
    many = len(shipped)
    fame = np.array([0.5 * (film.renown - 3) for film in shipped]) + rng.normal(0, 0.6, many)
    tastes = {
        name: dict(zip(WORDS[name], rng.normal(0, spread, (len(WORDS[name]), many)), strict=True))
        for name, spread in (("mood", 0.8), ("weather_desc", 0.5), ("weekday", 0.4))
    }
    for mood in WORDS["mood"]:
        tastes["mood"][mood] += np.array([film.moods.get(mood, 0) for film in shipped])
    of_late = np.zeros(many)
    shares = np.array(list(_MOODS.values())) / sum(_MOODS.values())
    for day in range(DAYS):
        of_late *= 0.9
        of_late[rng.choice(many, 3)] += 3
        weather = str(rng.choice(WORDS["weather_desc"]))
        for visitor in range(VISITORS):
            now = _FIRST + timedelta(days=day, minutes=50 * visitor)
            context = dict.fromkeys(("lat", "lon", "today_status", "tomorrow_status", "tone"), "")
            context |= {
                "city": "Seoul",
                "weekday": f"{now:%A}",
                "weather_desc": weather,
                "temperature": str(rng.integers(-5, 30)),
                "mood": str(rng.choice(list(_MOODS), p=shares)),
            }
            liking = fame + of_late + rng.normal(0, 1.2, many)
            liking += sum(taste[context[name]] for name, taste in tastes.items())
            takes = np.argsort(-liking)[: int(_TAKEN * many)]
            own = int(rng.choice(takes)) if rng.random() < _NAMES_OWN else None
            yield Visit(now, context, takes.tolist(), int(rng.geometric(1 - _READS_ON)), own)


class Planted:
    """The LLM of the loopback server: so many of its films are such as the visitor would take."""

    def __init__(self, quality: float, seed: int) -> None:
        """Start with nobody there."""
        self.quality = quality
        self.visit: Visit
        self._rng = np.random.default_rng(seed)
        self._all = bundled.films()

    def __call__(self, handler: Handler) -> None:
        """Answer a chat."""
        wanted = handler.body["format"]["properties"]
        offered = json.loads(handler.body["messages"][1]["content"]).get("candidates", {})
        takes = [self._all[film] for film in self.visit.takes]
        good = {f"{film.title} ({film.year})" for film in takes}
        n = wanted["chosen" if offered else "films"]["maxItems"]
        hits = int((self._rng.random(n) < self.quality).sum())
        order = self._rng.permutation(list(offered)) if offered else ()
        liked = [int(each) for each in order if offered[each] in good][:hits]
        other = [int(each) for each in order if offered[each] not in good]
        # What isn't among the candidates it names itself, as far as it may.
        most = wanted["others"]["maxItems"] if offered else n
        named = [takes[at] for at in self._rng.choice(len(takes), min(hits - len(liked), most))]
        chosen = [*liked, *other[: n - len(liked) - len(named)]]
        if not offered:
            missed = self._rng.choice(len(self._all), n - len(named))
            named += [self._all[at] for at in missed if at not in set(self.visit.takes)]
            named = [named[at] for at in self._rng.permutation(len(named))]
        films = [{"title": film.title, "year": film.year, "why": ""} for film in named]
        choices = [{"number": int(at), "why": ""} for at in self._rng.permutation(chosen)]
        reading = {"mood": "neutral", "tone": "neutral"}
        lists = {"chosen": choices, "others": films} if offered else {"films": films}
        says(json.dumps({**reading, **lists}))(handler)


class Alone:
    """One recommender and nothing else; it is told each choice."""

    def __init__(self, recommender: Recommender) -> None:
        """Take the recommender, which may be one that learns."""
        self._recommender = recommender
        self._rows: list[tuple[Mapping[str, str], str]] = []

    def show(self, visit: Visit) -> list[str]:
        """Return titles, best first."""
        return [pick.title for pick in self._recommender.rank(visit.query(), SHOWN)]

    def chosen(self, visit: Visit, title: str) -> None:
        """Learn from a choice."""
        if isinstance(self._recommender, LearnedRecommender):
            self._rows.append((visit.context, title))
            self._recommender.model = _learned(self._recommender.model, self._rows)


class OldRule(Alone):
    """All titles ever logged, the most frequent first; then the LLM's."""

    def show(self, visit: Visit) -> list[str]:
        """Return titles, best first."""
        logged = [title for title, _ in Counter(title for _, title in self._rows).most_common()]
        return (logged if len(logged) >= SHOWN else logged + super().show(visit))[:SHOWN]

    def chosen(self, visit: Visit, title: str) -> None:
        """Remember a choice."""
        self._rows.append((visit.context, title))


class Whole:
    """A whole station, with its database and its LLM or none."""

    def __init__(self, migrated: Path, folder: Path, llm: str, catalogue: Catalogue) -> None:
        """Make one in a folder, with a copy of a migrated database."""
        folder.mkdir()
        shutil.copy(migrated, folder)
        app = create_app(Settings(instance=folder, llm=llm, llm_timeout=30))
        self.database: Database = app.extensions["moodflix.db"]
        self.station: inference.Station = app.extensions["moodflix.station"]
        self.station.catalogue = catalogue
        self._rows: list[tuple[Mapping[str, str], str]] = []
        self._id: str | None = None

    def show(self, visit: Visit) -> list[str]:
        """Return titles, best first."""
        body = {"environment": dict(visit.context), "mood": visit.context["mood"], "limit": SHOWN}
        answer = self.station.answer(InferenceRequest.model_validate(body), visit.now)
        self._id = answer.id
        return answer.movies

    def chosen(self, visit: Visit, title: str) -> None:
        """Log a choice, and learn as the background would."""
        body = {"movieTitle": title, "env": visit.context, "mood": visit.context["mood"]}
        request = LogRequest.model_validate(body)
        self.database.commit(lambda session: inference.log_choice(session, request, visit.now))
        with self.database.read() as session:
            first = logs.id_range(session)[1] - 1
            for contexts, names in logs.choices(session, first):
                self._rows += zip(contexts, names, strict=True)
        self.station.context.model = _learned(self.station.context.model, self._rows)
        if len(self._rows) % _REWEIGH == 0:
            self.station.refit_weights()


def _learned(model: ChoiceModel, rows: Sequence[tuple[Mapping[str, str], str]]) -> ChoiceModel:
    contexts, names = zip(*rows, strict=True)
    if len(rows) % _REFIT and model.rows:
        return model.updated(contexts[-1:], names[-1:])
    return ChoiceModel().fit(contexts, names)


def stations(
    folder: Path, fakes: Mapping[float, Planted], hosts: Mapping[float, str]
) -> Iterator[tuple[str, Alone | Whole, Planted | None]]:
    """Yield each kind of station with its name and the LLM it asks, if any."""
    migrated = folder / "moodflix.sqlite3"
    database = Database(f"sqlite:///{migrated}")
    migration.upgrade(database)
    database.engine.dispose()
    catalogue = Catalogue()
    yield "catalogue only", Alone(catalogue), None
    yield "learned only", Alone(LearnedRecommender()), None
    yield "fusion, no LLM", Whole(migrated, folder / "none", "embedded", catalogue), None
    for quality, planted in fakes.items():
        os.environ["OLLAMA_HOST"] = hosts[quality]
        yield f"LLM {quality} only", Alone(OllamaRecommender("planted", 30)), planted
        yield f"old rule, LLM {quality}", OldRule(OllamaRecommender("planted", 30)), planted
        yield (
            f"fusion, LLM {quality}",
            Whole(migrated, folder / str(quality), "auto", catalogue),
            planted,
        )


def run(seed: int) -> dict[str, list[bool]]:
    """Return for each kind of station, visit by visit, whether one of five would be taken."""
    FakeOllama.PIECE = 10_000
    threadpool_limits(1)
    evenings = list(visits(seed))
    shipped = bundled.films()
    found: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory() as made:
        servers = {quality: FakeOllama() for quality in QUALITIES}
        fakes = {quality: Planted(quality, seed) for quality in QUALITIES}
        for quality, server in servers.items():
            server.default = fakes[quality]
            server.__enter__()
        hosts = {quality: server.url for quality, server in servers.items()}
        for name, station, planted in stations(Path(made), fakes, hosts):
            found[name] = []
            for visit in evenings:
                if planted:
                    planted.visit = visit
                takes = {shipped[film].key for film in visit.takes}
                shown = station.show(visit)
                taken = [titles.key(title) in takes for title in shown]
                found[name].append(any(taken[:AT]))
                choice = next(
                    (t for t, yes in zip(shown[: visit.looks_at], taken, strict=False) if yes), None
                )
                if choice is None and visit.names_own is not None:
                    choice = shipped[visit.names_own].title
                if choice is not None:
                    station.chosen(visit, choice)
        for server in servers.values():
            server.__exit__()
    return found


def table(
    runs: Sequence[Mapping[str, Sequence[bool]]],
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return mean and half of the 95 % interval over stations, by kind and period."""
    made: dict[str, dict[str, tuple[float, float]]] = {}
    for name in runs[0]:
        made[name] = {
            period: _interval([_share(each[name], days) for each in runs])
            for period, days in PERIODS.items()
        }
    return made


def differences(runs: Sequence[Mapping[str, Sequence[bool]]]) -> dict[str, dict[str, Any]]:
    """Return, for each fusion and period, how far it is from the best of its rivals."""
    made: dict[str, dict[str, Any]] = {}
    for fusion in (name for name in runs[0] if name.startswith("fusion")):
        llm = fusion.partition(", LLM ")[2]
        rivals = [
            name
            for name in runs[0]
            if "fusion" not in name and ("LLM" not in name or (llm and llm in name))
        ]
        for period, days in PERIODS.items():
            shares = {
                name: [_share(each[name], days) for each in runs] for name in (fusion, *rivals)
            }
            best = max(rivals, key=lambda name: float(np.mean(shares[name])))
            mean, half = _interval(np.subtract(shares[fusion], shares[best]).tolist())
            made.setdefault(fusion, {})[period] = {"best rival": best, "ahead": mean, "half": half}
    return made


def _share(hits: Sequence[bool], days: tuple[int, int]) -> float:
    return float(np.mean(hits[days[0] * VISITORS : days[1] * VISITORS]))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    t = float(stats.t.ppf(0.975, len(values) - 1))
    return float(np.mean(values)), t * float(np.std(values, ddof=1)) / len(values) ** 0.5


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(run, range(given.seed, given.seed + given.stations)))
    click.echo(f"{'acceptance at 5, %':24}" + "".join(f"{period:>16}" for period in PERIODS))
    shares = table(runs)
    for name, row in shares.items():
        cells = "".join(f"{100 * mean:9.1f} ± {100 * half:4.1f}" for mean, half in row.values())
        click.echo(f"{name:24}{cells}")
    ahead = differences(runs)
    for name, by_period in ahead.items():
        for period, each in by_period.items():
            click.echo(
                f"{name}, {period}: {100 * each['ahead']:+.1f} ± {100 * each['half']:.1f} "
                f"against {each['best rival']}"
            )
    seconds = time.monotonic() - began
    click.echo(
        f"{given.stations} stations, {DAYS} days, {VISITORS} visitors a day: {seconds:.0f} s"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"seconds": seconds, "shares": shares, "ahead": ahead}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
