"""What the commands share: errors in a line, a migrated database, progress bars, output files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, TextIO, TypeVar

import click

from moodflix import log_csv
from moodflix.errors import MoodflixError
from moodflix.store import migration
from moodflix.store.database import Database, current_database

if TYPE_CHECKING:
    # click names the type nowhere else.
    from click._termui_impl import ProgressBar

P = ParamSpec("P")
R = TypeVar("R")
# Bytes; a shorter file needs no bar.
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


def migrated_database() -> Database:
    """Return the database of the app.

    Raises:
        SchemaError: it isn't at the newest migration.
        DatabaseUnavailableError: it can't be read.
    """
    database = current_database()
    migration.require_newest(database)
    return database


def bar(
    label: str,
    items: Iterable[Any] | None = None,
    length: int | None = None,
    *,
    hidden: bool = False,
    steps: int = 1,
) -> ProgressBar[Any]:
    """Return a progress bar on stderr, drawn every ``steps`` items; only a terminal shows it."""
    return click.progressbar(
        items,
        length=length,
        label=label,
        hidden=hidden or not sys.stderr.isatty(),
        file=sys.stderr,
        update_min_steps=steps,
    )


def with_progress(rows: Iterable[R], source: BinaryIO, path: Path) -> Iterator[R]:
    """Pass on the rows read from ``source``, with a bar on a terminal when the file is long."""
    size = path.stat().st_size
    with bar("Reading", length=size, hidden=size < _LONG_FILE) as shown:
        for number, row in enumerate(rows):
            yield row
            if not shown.hidden and number % 1_000 == 0:
                shown.update(source.tell() - shown.pos)
        shown.update(size - shown.pos)


@contextmanager
def writable(output: Path | None) -> Iterator[TextIO]:
    """Open a file that is replaced only once it is whole, or stdout when there is none.

    Raises:
        ClickException: it can't be written; one line says why.
    """
    if output is None:
        # Bytes as they are: no translation of line ends, UTF-8 whatever the locale.
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    try:
        with log_csv.replacing(output) as out:
            yield out
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}") from error
