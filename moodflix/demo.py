"""Makes a sample for the dashboard: months of made-up visitors, in a database of its own.

So their choices are neither learned from nor exported.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from itertools import takewhile
from pathlib import Path
from typing import Final

from moodflix import clock
from moodflix.instance import Instance
from moodflix.recommend.answer import PARTIAL, UNAVAILABLE, USED
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.simulation import ScriptedLlm, SimulatedStation, Visitors, simulate
from moodflix.store import logs, migration
from moodflix.store.database import Database
from moodflix.vocabulary import FACE, HAND, WORDS

# Visitors expected on a working day and on any other.
_PER_DAY: Final = (22, 32)
_SOURCES: Final = {HAND: 0.3, WORDS: 0.3, FACE: 0.4}
# Shares of the LLM's statuses on most days, and on one bad day a month.
_GOOD_DAY: Final = {USED: 0.95, PARTIAL: 0.035, UNAVAILABLE: 0.015}
_BAD_DAY: Final = {USED: 0.3, PARTIAL: 0.3, UNAVAILABLE: 0.4}
_LLM_QUALITY: Final = 0.4
_REFIT_DAYS: Final = 14


def remove(instance: Instance) -> bool:
    """Delete the sample and what an interrupted load left; return whether there was anything."""
    paths = list(instance.folder.glob(f"{instance.sample.name}*"))
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return bool(paths)


def load(  # noqa: PLR0913, PLR0917 - when and where a sample is made
    instance: Instance,
    days: int,
    seed: int,
    now: datetime,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    zone: tzinfo | None = None,
) -> int:
    """Make a sample of the days until ``now``, which replaces any other; return its choices.

    The same seed makes the same sample. ``progress`` wraps the days, to show a progress bar.

    Raises:
        DatabaseUnavailableError: it can't be stored.
    """
    instance.folder.mkdir(parents=True, exist_ok=True)
    prefix = f"{instance.sample.name}."
    with tempfile.TemporaryDirectory(prefix=prefix, dir=instance.folder) as folder:
        spare = Instance(Path(folder))
        database = Database(f"sqlite:///{spare.sample}", zone=zone, durable=False)
        try:
            migration.upgrade(database)
            script = ScriptedLlm(_LLM_QUALITY)
            station = SimulatedStation(database, spare, Catalogue(), script)
            visitors = Visitors(seed, _PER_DAY, _SOURCES, zone)
            for number in progress(range(days)):
                day = clock.local(now, zone).date() - timedelta(days - 1 - number)
                script.statuses = _BAD_DAY if number % 30 == seed % 30 else _GOOD_DAY
                until_now = takewhile(lambda visit: visit.now <= now, visitors.of_day(number, day))
                for _ in simulate(until_now, station):
                    pass
                if number % _REFIT_DAYS == _REFIT_DAYS - 1:
                    station.refit(
                        min(clock.start_of(day + timedelta(1), zone) - timedelta(seconds=1), now)
                    )
            with database.read() as session:
                choices = logs.count(session)
        finally:
            database.close_as_single_file()
        spare.sample.replace(instance.sample)
    return choices
