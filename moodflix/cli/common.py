"""What the commands share: errors in one line, a migrated database, progress bars, files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypeVar

import click
from flask.cli import AppGroup

from moodflix import atomic
from moodflix.errors import InvalidInputError, MoodflixError
from moodflix.store import migration
from moodflix.store.database import Database, current_database

if TYPE_CHECKING:
    # click names the type nowhere else.
    from click._termui_impl import ProgressBar

R = TypeVar("R")
# Bytes; a shorter file needs no bar.
_LONG_FILE = 1_600_000
spreadsheet_safe = click.option(
    "--spreadsheet-safe",
    is_flag=True,
    help="Put an apostrophe before cells that a spreadsheet would run as formulas.",
)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error of ours as one line on stderr and exit with 1."""
    try:
        yield
    except MoodflixError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def file_errors(failure: str) -> Iterator[None]:
    """Print why a file can't be used as one line that begins with ``failure``, and exit with 1."""
    try:
        yield
    except (OSError, InvalidInputError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.ClickException(f"{failure}: {reason}") from error


class Group(AppGroup):
    """A group of commands, each in the app's context and with errors of ours in one line."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with one_line_errors():
            return super().invoke(context)


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
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has enough; click ends quietly.
            raise
        except OSError as error:
            # What the buffer holds can't be written at the end either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.ClickException(f"stdout can't be written: {error.strerror}") from error
        return
    with file_errors(f"{output} can't be written"), atomic.replacing(output) as out:
        lines = io.TextIOWrapper(out, encoding="utf-8", newline="")
        yield lines
        lines.detach()
