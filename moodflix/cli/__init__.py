"""The commands: parse, call, print."""

from __future__ import annotations

from flask import Flask

from moodflix.cli import catalogue, database, doctor, logs


def init_app(app: Flask) -> None:
    """Give ``flask`` the station's commands."""
    app.cli.add_command(catalogue.group)
    app.cli.add_command(database.group)
    app.cli.add_command(doctor.command)
    app.cli.add_command(logs.group)
