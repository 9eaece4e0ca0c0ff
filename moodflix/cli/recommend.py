"""``flask recommend``: prints the films that a request would get."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from moodflix.cli.common import migrated_database, one_line_errors
from moodflix.learning.training import Trainer
from moodflix.recommend.answer import Recommendation
from moodflix.requests import InferenceRequest, read
from moodflix.station import Station

_ENVIRONMENT = {
    "city": "city",
    "weather": "weather_desc",
    "temperature": "temperature",
    "weekday": "weekday",
    "today": "today_status",
    "tomorrow": "tomorrow_status",
}


@click.command("recommend")
@click.option("--mood", help="How the person feels, in a word.")
@click.option("--tone", help="How the person sounds, in a word.")
@click.option("--text", help="How the person puts it.")
@click.option("--city", help="Where the evening is.")
@click.option("--weather", help="As in 'light rain'.")
@click.option("--temperature", help="In degrees Celsius.")
@click.option("--weekday", help="As in 'Friday'.")
@click.option("--today", help="As in 'work' or 'holiday'; so is --tomorrow.")
@click.option("--tomorrow", hidden=True)
@click.option("--intent", help="lift, stay or auto.")
@click.option("--max-minutes", "maxMinutes", help="How long a film may be.")
@click.option("--family", help="all, older-kids, teens or adults.")
@click.option("--like", "movies", multiple=True, help="A film to go by; may be repeated.")
@click.option("--limit", help="How many films, 1 to 50; default 10.")
@click.option("--seed", help="Another number brings other films.")
@click.option("--language", help="en or ko.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
@with_appcontext
@one_line_errors()
def command(*, as_json: bool, **options: Any) -> None:
    """Print the films a request would get now, with their sources and scores.

    Nothing is stored.
    """
    migrated_database()
    body = {name: value for name, value in options.items() if value is not None}
    body["movies"] = list(body["movies"])
    environment = {_ENVIRONMENT[name]: body.pop(name) for name in _ENVIRONMENT if name in body}
    request = read(InferenceRequest, {**body, "environment": environment})
    station: Station = current_app.extensions["moodflix.station"]
    trainer: Trainer = current_app.extensions["moodflix.trainer"]
    trainer.learn()
    trainer.close()  # training is the server's task
    station.refit_weights()
    answer = station.answer(request, datetime.now(timezone.utc), remember=False)
    weights = {name: round(weight, 3) for name, weight in station.weights().items()}
    if as_json:
        shown = json.dumps({**answer.as_json(), "weights": weights}, indent=2, ensure_ascii=False)
        click.echo(shown)
    else:
        _print(answer, weights)


def _print(answer: Recommendation, weights: dict[str, float]) -> None:
    click.echo(f"Mood {answer.perceived.mood.label}, tone {answer.perceived.tone.label}.")
    for rank, pick in enumerate(answer.picks, start=1):
        year = f" ({pick['year']})" if pick["year"] else ""
        ranks = ", ".join(f"{name} {of_source}" for name, of_source in pick["sources"].items())
        explored = ", explored" if pick["explore"] else ""
        click.secho(f"{rank:2}. {pick['title']}{year}", bold=True)
        click.echo(f"    {pick['why']}\n    score {pick['score']:.3f}: {ranks}{explored}")
    listed = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    click.echo(f"Weights: {listed}. LLM: {answer.llm.status}.")
    for warning in answer.warnings:
        click.secho(warning, fg="yellow", err=True)
