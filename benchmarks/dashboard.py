# ruff: noqa: S608 - the SQL is put together from constants of this file
"""What the dashboard's tables cost at a million choices and 300,000 answers over two years.

Run it from the checkout with ``.venv/bin/python -m benchmarks.dashboard`` (some three minutes, most
of them to make the database by plain inserts). It prints a table, writes
``benchmarks/results/dashboard.json`` and fails if a table takes 100 ms.
"""

from __future__ import annotations

import json
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.station import migrate
from moodflix.requests import FIELDS
from moodflix.store import stats, sums
from moodflix.store.database import Database
from tests.server import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "dashboard.json"
SEED: Final = 20260101
CHOICES: Final = 1_000_000
ANSWERS: Final = 300_000
FILMS: Final = 3_000
FIRST: Final = date(2024, 1, 10)
DAYS: Final = 730
GOAL_MS: Final = 100.0
TRIES: Final = 7
# As people and old front-ends send them.
MOODS: Final = dict(
    zip(
        "happy sad neutral angry fear surprise disgust gloomy 행복 lonely joy beige".split(),
        (20, 15, 12, 8, 5, 5, 2, 3, 2, 2, 2, 2),
        strict=True,
    )
)
# Those that cut a third of a month in its middle, at both ends, are the hardest.
RANGES: Final = {
    "7 days": (date(2025, 12, 28), date(2026, 1, 3)),
    "30 days": (date(2025, 11, 16), date(2025, 12, 15)),
    "60 days": (date(2025, 3, 6), date(2025, 5, 4)),
    "a year": (date(2024, 10, 16), date(2025, 10, 15)),
    "23 months": (date(2024, 1, 16), date(2025, 12, 15)),
    "all": (FIRST, FIRST + timedelta(days=DAYS)),
}
_ANSWER: Final = (
    "id, answered_at, context, mood_source, tone_source, llm_status, llm_numbers, seconds, corrects"
)
_WITHIN = "BETWEEN :first AND :last"
_LOCAL = "date({}, 'localtime')"
# The same sums, straight from the rows.
STRAIGHT: Final = {
    "choices": f"SELECT {_LOCAL.format('event_at')} AS day, count(*) FROM logs "
    f"WHERE day {_WITHIN} GROUP BY 1",
    "hours": "SELECT strftime('%w', event_at, 'localtime'), strftime('%H', event_at, 'localtime'),"
    f" mood, count(*) FROM logs WHERE {_LOCAL.format('event_at')} {_WITHIN} GROUP BY 1, 2, 3",
    "films": "SELECT mood, film_key, count(*) AS n FROM logs "
    f"WHERE {_LOCAL.format('event_at')} {_WITHIN} GROUP BY 1, 2 ORDER BY n DESC LIMIT 70",
    "origins": "SELECT s.key, min(s.value, 11), count(*) FROM logs JOIN answer_picks AS p "
    "ON p.answer_id = logs.answer_id AND p.film_key = logs.film_key, json_each(p.sources) AS s "
    f"WHERE {_LOCAL.format('event_at')} {_WITHIN} GROUP BY 1, 2",
    "llm": f"SELECT {_LOCAL.format('answered_at')} AS day, llm_status, count(*) FROM answers "
    f"WHERE day {_WITHIN} GROUP BY 1, 2",
}


def days_ago(rng: random.Random, count: int) -> Iterator[str]:
    """Yield moments in order, most of them in the evening, as the database writes them."""
    hours = rng.choices(range(24), [1, *[0] * 6, *[1] * 9, 2, 3, 5, 8, 9, 8, 5, 3], k=count)
    days = sorted(rng.choices(range(DAYS), k=count))
    start = datetime.combine(FIRST, datetime.min.time())
    for day, hour in zip(days, hours, strict=True):
        at = start + timedelta(days=day, hours=hour, seconds=rng.random() * 3600)
        yield at.isoformat(" ", "microseconds")


def insert(session: Session, table: str, columns: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """Insert rows as any writer would, in batches."""
    marks = ", ".join("?" * len(columns.split(", ")))
    connection = session.connection()
    while batch := list(islice(rows, 10_000)):
        connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({marks})", batch)


class Made:
    """Made-up rows: tastes differ by mood, and a third of the answers lead to a choice."""

    def __init__(self, choices: int, answers: int) -> None:
        """Take the numbers of rows."""
        self.rng = random.Random(SEED)  # noqa: S311 - the same rows at every run
        self.choices, self.answers = choices, answers
        # Some films are chosen far more often than others.
        self.weights = list(accumulate(1 / (place + 30) ** 0.8 for place in range(FILMS)))
        self.places = list(range(FILMS))
        self.taken: list[tuple[str, int]] = []

    def films(self, count: int) -> list[int]:
        """Draw films by their places in popularity."""
        return self.rng.choices(self.places, cum_weights=self.weights, k=count)

    def moods(self, count: int) -> list[str]:
        """Draw moods."""
        return self.rng.choices(list(MOODS), list(MOODS.values()), k=count)

    def answered(self) -> Iterator[tuple[Any, ...]]:
        """Yield answers."""
        sources = self.rng.choices(["hand", "words", "face", "none"], [4, 4, 4, 1], k=self.answers)
        moods = self.moods(self.answers)
        for number, at in enumerate(days_ago(self.rng, self.answers)):
            status = self.rng.choice(["used", "used", "used", "partial", "unavailable", "off"])
            seconds = self.rng.lognormvariate(1.5, 0.7) if status == "used" else 0.02
            context = json.dumps({"mood": moods[number]})
            # Each twentieth puts right what the one before it read.
            corrects = None
            if not (number + 1) % 20 and sources[number - 1] in ("words", "face"):
                corrects, sources[number] = f"{number - 1:032x}", "hand"
            yield (
                *(f"{number:032x}", at, context, sources[number], "none", status, "{}", seconds),
                corrects,
            )

    def picked(self) -> Iterator[tuple[Any, ...]]:
        """Yield the ten picks of each answer."""
        for number in range(self.answers):
            answer, films = f"{number:032x}", self.films(10)
            if number % 3 == 0:
                self.taken.append((answer, films[int(10 * self.rng.random() ** 2)]))
            for position, film in enumerate(dict.fromkeys(films), start=1):
                sources = {"context": 1 + film % 12, "catalogue": position}
                if film % 3 == 0:
                    sources["llm"] = 1 + film % 5
                    del sources["catalogue"]
                yield answer, position, f"film {film}", f"Film {film}", None, json.dumps(sources)

    def logged(self) -> Iterator[tuple[Any, ...]]:
        """Yield choices; the first to be drawn are those of the answers."""
        moods = self.moods(self.choices)
        places = self.films(self.choices)
        # Each mood has favourites of its own.
        shift = {mood: 101 * at for at, mood in enumerate(MOODS)}
        step = max(1, self.choices // max(1, len(self.taken)))
        for number, at in enumerate(days_ago(self.rng, self.choices)):
            mood, answer = moods[number], None
            film = (places[number] + shift[mood]) % FILMS
            if number % step == 0 and number // step < len(self.taken):
                answer, film = self.taken[number // step]
            texts = at, "Seoul", "37.5", "127.0", "work", "holiday", "Friday", "light rain", "12"
            yield (*texts, mood, "", f"Film {film}", at, at, f"film {film}", answer)


def build(database: Database, choices: int = CHOICES, answers: int = ANSWERS) -> dict[str, float]:
    """Fill a migrated database; return the seconds each table took."""
    made, took = Made(choices, answers), {}
    for table, columns, rows in (
        ("answers", _ANSWER, made.answered()),
        ("answer_picks", "answer_id, position, film_key, title, year, sources", made.picked()),
        ("logs", f"{', '.join(FIELDS)}, received_at, event_at, film_key, answer_id", made.logged()),
    ):
        started = time.perf_counter()
        with database.write() as session:
            session.connection().exec_driver_sql("PRAGMA cache_size = -64000")
            insert(session, table, columns, rows)
        took[table] = time.perf_counter() - started
    started = time.perf_counter()
    with database.write() as session:
        sums.rebuild(session)
    took["sums"] = time.perf_counter() - started
    return took


def timed(session: Session, name: str, first: date, last: date) -> float:
    """Return the median time of a table, in milliseconds."""
    took = []
    for _ in range(TRIES):
        started = time.perf_counter()
        stats.table(session, name, first, last)
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def straight(session: Session, name: str, first: date, last: date) -> float:
    """Return the time of the same sums without the tables of sums, in milliseconds."""
    started = time.perf_counter()
    session.execute(text(STRAIGHT[name]), {"first": str(first), "last": str(last)}).all()
    return (time.perf_counter() - started) * 1000


def main() -> int:
    """Print a table, write JSON, and return 1 if the goal is missed."""
    with tempfile.TemporaryDirectory() as folder:
        migrate(Path(folder))
        database = Database(f"sqlite:///{folder}/moodflix.sqlite3")
        built = build(database)
        with database.read() as session:
            times = {
                name: {label: timed(session, name, *days) for label, days in RANGES.items()}
                for name in stats.TABLES
            }
            ratios = {
                name: straight(session, name, *RANGES["all"]) / times[name]["all"]
                for name in STRAIGHT
            }
        database.engine.dispose()
    click.echo("made in " + ", ".join(f"{table} {took:.0f} s" for table, took in built.items()))
    click.echo(f"{'median ms':12}" + "".join(f"{label:>11}" for label in RANGES) + "   x straight")
    for name, took in times.items():
        line = "".join(f"{each:11.1f}" for each in took.values())
        click.echo(f"{name:12}{line}" + (f"{1 / ratios[name]:13.4f}" if name in ratios else ""))
    results = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "choices": CHOICES,
        "answers": ANSWERS,
        "inserted_seconds": built,
        "median_ms": times,
        "straight_over_table": ratios,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    worst = max(each for took in times.values() for each in took.values())
    click.echo(f"slowest {worst:.0f} ms; goal {GOAL_MS:.0f} ms")
    return int(worst >= GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())
