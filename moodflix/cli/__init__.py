"""The commands: parse, call, print."""

from __future__ import annotations

from flask import Flask

from moodflix.cli import (
    backup,
    catalogue,
    database,
    demo,
    doctor,
    feedback,
    logs,
    model,
    recommend,
    stats,
)


def init_app(app: Flask) -> None:
    """Give ``flask`` the station's commands."""
    for module in (catalogue, database, demo, feedback, logs, model, stats):
        app.cli.add_command(module.group)
    app.cli.add_command(backup.make)
    app.cli.add_command(backup.restore)
    app.cli.add_command(doctor.command)
    app.cli.add_command(recommend.command)
