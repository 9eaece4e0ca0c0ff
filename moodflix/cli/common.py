"""What the commands share: errors as one line, the database once it is migrated."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click

from moodflix import db, migrating
from moodflix.errors import MoodflixError

P = ParamSpec("P")
R = TypeVar("R")


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
