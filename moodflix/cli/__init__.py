"""The commands: parse, call, print."""

from __future__ import annotations

from flask import Flask

from moodflix.cli import catalogue, database, demo, doctor, feedback, logs, model, recommend, stats


def init_app(app: Flask) -> None:
    """Give ``flask`` the station's commands."""
    app.cli.add_command(catalogue.group)
    app.cli.add_command(database.group)
    app.cli.add_command(demo.group)
    app.cli.add_command(doctor.command)
    app.cli.add_command(feedback.group)
    app.cli.add_command(logs.group)
    app.cli.add_command(model.group)
    app.cli.add_command(recommend.command)
    app.cli.add_command(stats.group)
