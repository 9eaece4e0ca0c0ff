"""``flask stats``: the dashboard's sums."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from moodflix.cli.common import migrated_database, one_line_errors
from moodflix.store import logs, sums


@click.group("stats")
def group() -> None:
    """Recompute the sums that the dashboard shows."""


@group.command()
@with_appcontext
@one_line_errors
def rebuild() -> None:
    """Recompute the dashboard's sums, as after a change of time zone or rows deleted by hand."""
    with migrated_database().write() as session:
        sums.rebuild(session)
        choices = logs.count(session)
    click.echo(f"The sums are those of {choices} choices and their answers.")
