"""``flask doctor``: checks every part of the station and names the command that helps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext

from moodflix import instance
from moodflix.cli.common import bar
from moodflix.config import Settings
from moodflix.doctor.checks import BROKEN, OK, WARNING, Check, check_station
from moodflix.recommend.llm import diagnostics
from moodflix.recommend.llm.client import OllamaError
from moodflix.store.database import current_database

_COLORS = {OK: "green", WARNING: "yellow", BROKEN: "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--pull", is_flag=True, help="Let Ollama pull the model first.")
@click.pass_context
@with_appcontext
def command(context: click.Context, *, as_json: bool, pull: bool) -> None:
    """Check every part of the station; name the command that helps where one is broken.

    Exits with 1 when something is broken.
    """
    settings: Settings = current_app.extensions["moodflix.settings"]
    found = []
    for check in _checks(settings, pull=pull):
        found.append(check)
        if not as_json:
            click.echo(_line(check))
    healthy = all(check.status != BROKEN for check in found)
    if as_json:
        click.echo(json.dumps({"healthy": healthy, "checks": list(map(asdict, found))}, indent=2))
    context.exit(0 if healthy else 1)


def _checks(settings: Settings, *, pull: bool) -> Iterator[Check]:
    if pull and settings.llm != "embedded":
        yield _pull(settings.ollama_model)
    yield from check_station(settings, current_database(), instance.of(current_app))


def _line(check: Check) -> str:
    status = click.style(f"{check.status:8}", fg=_COLORS[check.status])
    remedy = f"; run: {check.remedy}" if check.remedy else ""
    return f"{status}{check.name:11} {check.found}{remedy}"


def _pull(model: str) -> Check:
    try:
        for layer, steps in itertools.groupby(diagnostics.pull(model), key=lambda step: step.layer):
            if layer:
                _show_layer(layer, steps)
    except OllamaError as error:
        return Check("pull", BROKEN, error.problem, error.remedy)
    return Check("pull", OK, f"{model} is pulled")


def _show_layer(layer: str, steps: Iterator[diagnostics.Step]) -> None:
    first = next(steps)
    label = f"Pulling {layer.removeprefix('sha256:')[:12]}"
    with bar(label, length=first.total) as pulled:
        for step in itertools.chain([first], steps):
            pulled.update(step.done - pulled.pos)
