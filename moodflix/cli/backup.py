"""``flask backup`` and ``flask restore``: one archive of all that a station keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from moodflix import backup, instance
from moodflix.cli.common import bar, file_errors, one_line_errors
from moodflix.store.database import current_database

# Steps of a progress bar.
_STEPS = 1_000
_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.command("backup")
@_file
@with_appcontext
@one_line_errors()
def make(file: Path) -> None:
    """Write database, models and the dashboard's key to one archive; the station may run.

    FILE, a zip file that only its owner may read, is replaced once the new one is checked.
    """
    if file.exists() and not file.is_file():
        raise click.ClickException(f"{file} is not a file")
    with file_errors(f"{file} can't be written"), _progress("Backing up") as progress:
        backup.make(current_database(), instance.of(current_app), file, progress)
    click.echo(f"The backup is in {file}, {file.stat().st_size / 1e6:,.1f} MB, and was checked.")


@click.command("restore")
@_file
@with_appcontext
@one_line_errors()
def restore(file: Path) -> None:
    """Put what a backup holds in place of what is there, which is kept; stop the station first."""
    now = datetime.now(timezone.utc)
    with file_errors(f"{file} can't be restored"), _progress("Restoring") as progress:
        done = backup.restore(current_database(), instance.of(current_app), file, now, progress)
    click.echo(f"Restored {file}.")
    if done.kept:
        click.echo(f"What was there before is in {done.kept}.")
    if not done.is_newest:
        click.echo("It is of an older version of the station; run: flask db upgrade")


@contextmanager
def _progress(label: str) -> Iterator[Callable[[float], None]]:
    with bar(label, length=_STEPS) as shown:
        yield lambda share: shown.update(int(share * _STEPS) - shown.pos)
