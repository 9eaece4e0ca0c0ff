"""``flask demo``: sample data for the dashboard, in a database of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

import click
from flask import current_app

from moodflix import demo, instance
from moodflix.cli.common import Group, bar, file_errors
from moodflix.store.database import current_database

_FAILURE = "sample data can't be changed"
group = Group("demo", help="Make or delete sample data for the dashboard.")


@group.command()
@click.option("--days", type=click.IntRange(7, 400), default=90, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
def load(days: int, seed: int) -> None:
    """Make sample data for the dashboard, in a database of their own.

    They are the last DAYS days of made-up visitors; another SEED makes other ones.
    """
    now, zone = datetime.now(timezone.utc), current_database().zone
    with file_errors(_FAILURE):
        choices = demo.load(instance.of(current_app), days, seed, now, _bar, zone)
    click.echo(
        f"{choices:,} sample choices of {days} days: see them at /dashboard?sample=1, "
        "delete them by flask demo remove."
    )


@group.command()
def remove() -> None:
    """Delete the sample data."""
    with file_errors(_FAILURE):
        found = demo.remove(instance.of(current_app))
    click.echo("The sample data are gone." if found else "There were no sample data.")


def _bar(days: Iterable[int]) -> Iterator[int]:
    with bar("Simulating", days) as shown:
        yield from shown
