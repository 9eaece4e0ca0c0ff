"""What the commands share: errors as one line, a migrated database, a bar while a file is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

import click

from moodflix import db, migrating
from moodflix.errors import MoodflixError

P = ParamSpec("P")
R = TypeVar("R")
# A shorter file is read before a bar could be.
_LONG_FILE = 1_600_000


def one_line_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Print an error of ours as one line on stderr and exit with 1."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except MoodflixError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def migrated_database() -> db.Database:
    """Return the database of the app.

    Raises:
        SchemaError: it isn't at the newest migration.
        DatabaseUnavailableError: it can't be read.
    """
    database = db.current()
    migrating.require_newest(database)
    return database


def with_progress(rows: Iterable[R], source: BinaryIO, path: Path) -> Iterator[R]:
    """Pass on the rows read from ``source``, with a bar on a terminal when the file is long."""
    size = path.stat().st_size
    hidden = size < _LONG_FILE or not sys.stderr.isatty()
    with click.progressbar(length=size, label="Reading", hidden=hidden, file=sys.stderr) as bar:
        for place, row in enumerate(rows):
            yield row
            if not hidden and place % 1_000 == 0:
                bar.update(source.tell() - bar.pos)
        bar.update(size - bar.pos)
