"""``flask stats``: the dashboard's sums."""

from __future__ import annotations

import click

from moodflix.cli.common import Group, migrated_database
from moodflix.store import logs, sums

group = Group("stats", help="Recompute the sums that the dashboard shows.")


@group.command()
def rebuild() -> None:
    """Recompute the dashboard's sums, as after a change of time zone or rows deleted by hand."""
    with migrated_database().write() as session:
        sums.rebuild(session)
        choices = logs.count(session)
    click.echo(f"The sums are those of {choices} choices and their answers.")
