"""Migrations: the revision of a database, and upgrading it."""

from __future__ import annotations

from importlib.util import find_spec

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from moodflix.errors import SchemaError
from moodflix.films import shipped
from moodflix.store import film_links, films, sums
from moodflix.store.database import Database, translated
from moodflix.store.models import Base

# Revisions that were squashed into 0007.
_SQUASHED = ("0001", "0002", "0003", "0004", "0005", "0006")
_UPGRADE = "run: flask db upgrade"


def upgrade(database: Database) -> int:
    """Upgrade to the newest migration and import the shipped films, all or nothing.

    Earlier choices are linked to films that are new. If there is nothing to do, nothing is written
    and no lock is taken.

    Returns:
        The number of shipped films.

    Raises:
        DatabaseUnavailableError: it can't be written.
        SchemaError: it is newer than this version of the station, or too old for it.
    """
    current, newest = state(database)
    if current == newest and database.is_prepared():
        with database.read() as session:
            if films.holds_shipped(session) and not sums.are_missing(session):
                return len(shipped.films())
    database.prepare_file()
    config = alembic_config()
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "head")
        films.import_shipped(session)
        if film_links.link(session) or sums.are_missing(session):
            sums.rebuild(session)
    return len(shipped.films())


def state(database: Database) -> tuple[str | None, str]:
    """Return the revision of the database (``None``: never migrated) and the newest one.

    Raises:
        DatabaseUnavailableError: it can't be read.
        SchemaError: it is at a revision that this version of the station doesn't know.
    """
    scripts = ScriptDirectory.from_config(alembic_config())
    newest = scripts.get_current_head()
    if newest is None:
        raise SchemaError("this installation has no migrations; install it again")
    database.require_same_file()
    if not database.exists():
        return None, newest
    with translated(), database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current is not None:
        try:
            scripts.get_revision(current)
        except CommandError:
            if current in _SQUASHED:
                raise SchemaError(
                    f"the database is at revision {current}, too old for this version; run "
                    "flask db upgrade with the station of commit a30323d first"
                ) from None
            raise SchemaError(
                f"the database is at revision {current}, which this version doesn't know; "
                "install the version that made it, or a newer one"
            ) from None
    return current, newest


def require_newest(database: Database) -> None:
    """Check that the database is at the newest migration.

    Raises:
        DatabaseUnavailableError: it can't be read.
        SchemaError: it isn't; the text says what to run.
    """
    current, newest = state(database)
    if current is None:
        raise SchemaError(f"the database is not migrated; {_UPGRADE}")
    if current != newest:
        raise SchemaError(f"the database is at revision {current}, not {newest}; {_UPGRADE}")


def differences(database: Database) -> list[str]:
    """Return how the tables differ from the models, a line each."""
    with translated(), database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, Base.metadata)]


def alembic_config() -> Config:
    """Return the configuration that Alembic runs with.

    Raises:
        SchemaError: the migrations were not installed.
    """
    # The folder is beside the package in a checkout, inside it in a wheel.
    spec = find_spec("moodflix.migrations")
    if spec is None or not spec.submodule_search_locations:
        raise SchemaError("this installation has no migrations; install it again")
    config = Config()
    config.set_main_option("script_location", spec.submodule_search_locations[0].replace("%", "%%"))
    return config
