"""What looking a film up costs among 100,000 made-up ones, against a read by primary key.

And what finding the films chosen in a week costs in a log of 500,000 choices, against a log of that
week alone. Run it from the checkout with ``.venv/bin/python -m benchmarks.film_lookup`` (half a
minute). It prints a table, writes ``benchmarks/results/film_lookup.json`` and fails if a goal is
missed.
"""

from __future__ import annotations

import json
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Final

import click
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from moodflix.films.film_lists import Listed
from moodflix.requests import FIELDS
from moodflix.store import films, logs, migration
from moodflix.store.database import Database
from moodflix.store.models import Film, LogEntry
from tests.server import ROOT

RESULTS: Final = ROOT / "benchmarks" / "results" / "film_lookup.json"
SEED: Final = 20251001
FILMS: Final = 100_000
LOOKS: Final = 500
CHOICES: Final = 500_000
PER_DAY: Final = 700
NOW: Final = datetime(2026, 1, 5, 20, tzinfo=timezone.utc)
WEEK: Final = timedelta(days=7)
# A week is found in a large log in at most this many times the time.
MOST_TIMES: Final = 3.0
# Goals of the median look-up, in milliseconds.
GOALS: Final = {"exact": 1.0, "close": 20.0, "unknown": 20.0}
_SYLLABLES = (
    "ba be do fa go ha in ka la lo ma me mo na ni or pa ra re sa si ta te to un va wi".split()
)


def made_up(rng: random.Random, count: int) -> list[Listed]:
    """Return ``count`` films of two to four words; words and years are shared as in real ones."""
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(3_000)]
    named: dict[tuple[str, int], Listed] = {}
    while len(named) < count:
        # The earlier a word, the more titles have it.
        picked = [words[int(len(words) * rng.random() ** 2)] for _ in range(rng.randint(2, 4))]
        title, year = " ".join(picked).title(), 2025 - int(100 * rng.random() ** 2)
        named[title, year] = Listed(title, year)
    return list(named.values())


def misspelt(rng: random.Random, title: str) -> str:
    """Return a title with one letter of its longest word left out."""
    word = max(title.split(), key=len)
    place = rng.randrange(1, len(word))
    return title.replace(word, word[:place] + word[place + 1 :], 1)


def timed(calls: Sequence[Callable[[], Any]]) -> dict[str, float]:
    """Return the median and the 99th percentile of some calls, in milliseconds."""
    took = []
    for call in calls:
        started = time.perf_counter()
        call()
        took.append((time.perf_counter() - started) * 1000)
    return {"median_ms": statistics.median(took), "p99_ms": statistics.quantiles(took, n=100)[98]}


def measure(session: Session, asked: Sequence[Listed], rng: random.Random) -> dict[str, Any]:
    """Time each kind of look-up on the same films; count how many are found as they should be."""
    newest = session.scalar(select(func.max(Film.id))) or 0
    ids = [rng.randint(1, newest) for _ in asked]
    wrong = [misspelt(rng, film.title) for film in asked]
    found: dict[str, list[films.FoundFilm | None]] = {"exact": [], "close": [], "unknown": []}

    def look(kind: str, title: str, year: int) -> None:
        # As a request does: nothing is left over from the look-up before.
        session.expunge_all()
        found[kind].append(films.look_up(session, title, year))

    def read(row: int) -> None:
        session.expunge_all()
        session.get(Film, row)

    both = list(zip(asked, wrong, strict=True))
    calls: dict[str, list[Callable[[], Any]]] = {
        "primary key": [partial(read, row) for row in ids],
        "exact": [partial(look, "exact", film.title, film.year) for film in asked],
        "close": [partial(look, "close", title, film.year) for film, title in both],
        "unknown": [partial(look, "unknown", f"{title} Zyzzy", film.year) for film, title in both],
    }
    for warm in calls.values():
        warm[0]()
    for each in found.values():
        each.clear()
    timings = {kind: timed(work) for kind, work in calls.items()}
    base = timings["primary key"]["median_ms"]
    for kind, numbers in timings.items():
        numbers["ratio"] = numbers["median_ms"] / base
        if kind in found:
            numbers["right"] = _share_right(kind, found[kind], asked)
    return timings


def _share_right(
    kind: str, found: Sequence[films.FoundFilm | None], asked: Sequence[Listed]
) -> float:
    if kind == "unknown":
        return statistics.mean(film is None for film in found)
    return statistics.mean(
        film is not None and (film.title, film.year) == (each.title, each.year)
        for film, each in zip(found, asked, strict=True)
    )


def add_choices(session: Session, chosen: Sequence[Listed], numbers: range) -> None:
    """Add choices from the newest, number 0, backwards."""
    texts = dict.fromkeys(FIELDS, "some text")
    for batch in (numbers[start : start + 10_000] for start in range(0, len(numbers), 10_000)):
        moments = [NOW - timedelta(days=number / PER_DAY) for number in batch]
        keys = [chosen[number % len(chosen)].title.lower() for number in batch]
        rows = [
            {**texts, "event_at": moment, "received_at": moment, "film_key": key}
            for moment, key in zip(moments, keys, strict=True)
        ]
        session.execute(insert(LogEntry), rows)
    session.commit()


def chosen_lately(database: Database, chosen: Sequence[Listed]) -> dict[str, dict[str, float]]:
    """Time how the films of the last week are found in a log of a week and in a large one."""
    week = PER_DAY * WEEK.days
    timings: dict[str, dict[str, float]] = {}
    for numbers in (range(week), range(week, CHOICES)):
        with database.read() as session:
            add_choices(session, chosen, numbers)
        with database.read() as session:
            looks = [partial(logs.chosen_since, session, NOW - WEEK)] * 20
            timings[f"{numbers.stop} choices"] = timed(looks)
    base = next(iter(timings.values()))["median_ms"]
    for numbers_of in timings.values():
        numbers_of["ratio"] = numbers_of["median_ms"] / base
    return timings


def main() -> int:
    """Print a table, write JSON, and return 1 if a goal is missed."""
    rng = random.Random(SEED)  # noqa: S311 - the same films at every run
    listed = made_up(rng, FILMS)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/films.sqlite3")
        migration.upgrade(database)
        started = time.perf_counter()
        with database.read() as session:
            films.merge(session, listed)
            session.commit()
        imported = time.perf_counter() - started
        with database.read() as session:
            timings = measure(session, rng.sample(listed, LOOKS), rng)
        weeks = chosen_lately(database, rng.sample(listed, 4_000))
        database.engine.dispose()
    click.echo(f"{FILMS} films, imported in {imported:.1f} s; {LOOKS} look-ups of each kind")
    click.echo(f"{'':12} {'median ms':>10} {'p99 ms':>10} {'x key read':>11} {'right':>7}")
    for kind, numbers in timings.items():
        right = f"{numbers['right']:7.1%}" if "right" in numbers else ""
        times = f"{numbers['median_ms']:10.3f} {numbers['p99_ms']:10.3f}"
        click.echo(f"{kind:12} {times} {numbers['ratio']:11.1f} {right}")
    click.echo("the films chosen in a week, out of a log of")
    for kind, numbers in weeks.items():
        click.echo(f"  {kind}: {numbers['median_ms']:.1f} ms, {numbers['ratio']:.2f} times")
    results = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "films": FILMS,
        "import_seconds": imported,
        "look_ups": timings,
        "chosen_in_a_week": weeks,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    missed = [kind for kind, most in GOALS.items() if timings[kind]["median_ms"] >= most]
    if max(numbers["ratio"] for numbers in weeks.values()) > MOST_TIMES:
        missed.append("chosen in a week")
    click.echo("goals missed: " + ", ".join(missed) if missed else "all goals are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
