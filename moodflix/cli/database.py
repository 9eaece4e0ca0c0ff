"""``flask db``: migrates the database by Alembic."""

from __future__ import annotations

import click

from moodflix.cli.common import Group
from moodflix.errors import SchemaError
from moodflix.store import migration
from moodflix.store.database import current_database

group = Group("db", help="Migrate the database, or show its revision.")


@group.command()
def upgrade() -> None:
    """Bring the database to the newest migration and the catalogue into it."""
    films = migration.upgrade(current_database())
    current, _ = migration.state(current_database())
    click.echo(f"The database is at revision {current}; the catalogue has {films} films.")


@group.command()
def current() -> None:
    """Print the revision of the database."""
    revision, newest = migration.state(current_database())
    mark = " (newest)" if revision == newest else f" (newest is {newest}; run: flask db upgrade)"
    click.echo((revision or "not migrated") + mark)


@group.command()
def check() -> None:
    """Exit with 1 unless the database is at the newest migration and its tables fit the models."""
    migration.require_newest(current_database())
    found = migration.differences(current_database())
    if found:
        raise SchemaError("the tables differ from the models: " + "; ".join(found))
    click.echo("The database is at the newest migration and fits the models.")
