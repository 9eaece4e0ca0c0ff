"""A real station on a database of its own, for the benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moodflix.store import migration
from moodflix.store.database import Database
from tests.server import GunicornServer


def migrate(folder: Path) -> None:
    """Make the database that a station of this folder opens."""
    database = Database(f"sqlite:///{folder}/moodflix.sqlite3")
    migration.upgrade(database)
    database.engine.dispose()


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[GunicornServer]:
    """Serve the database of a folder."""
    station = GunicornServer(
        {"instance": folder, "rate_limit_enabled": 0} | settings, folder / "server.log"
    )
    try:
        station.wait_until_alive()
        yield station
    finally:
        station.stop()


@contextmanager
def new_station() -> Iterator[GunicornServer]:
    """Serve an empty database, without an LLM."""
    with tempfile.TemporaryDirectory() as name:
        migrate(Path(name))
        with serving(Path(name), llm="embedded") as station:
            yield station
