"""``flask model``: trains, lists, shows, rolls back and evaluates the learned model."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
from flask import current_app

from moodflix import log_csv
from moodflix.cli.common import Group, bar, file_errors, migrated_database
from moodflix.errors import RecommenderError
from moodflix.learning import evaluation, training
from moodflix.learning.files import ModelFileError, ModelInfo, ModelStore
from moodflix.requests import CONTEXT, LogRow
from moodflix.store import logs

# Only the newest choices, this many, are measured.
_MAX_ROWS: Final = 100_000
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_number = click.argument("number", type=click.IntRange(min=1), required=False)


group = Group("model", help="Train the learned model, look at it, roll it back, evaluate it.")


def _store() -> ModelStore:
    store: ModelStore = current_app.extensions["moodflix.trainer"].store
    return store


@group.command()
@_as_json
def train(*, as_json: bool) -> None:
    """Train on all choices now; the workers of a running station use the model at once."""
    database, store = migrated_database(), _store()
    lock = store.lock()
    if lock is None:
        raise click.ClickException("another process is learning; try again in a while")
    try:
        with database.read() as session:
            total = logs.count(session)
        number, about = training.train(database, store, _bar(total))
    finally:
        os.close(lock)
    _echo(_described(number, about, in_use=not about.below_baseline), as_json=as_json)


@group.command("list")
@_as_json
def list_(*, as_json: bool) -> None:
    """List the models kept, oldest first; * marks the one in use."""
    store, found = _store(), []
    for number in store.numbers():
        try:
            about = store.load(number, arrays=False)[0]
            found.append(_described(number, about, in_use=number == store.current()))
        except ModelFileError as error:
            found.append({"number": number, "in_use": False, "summary": str(error)})
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found:
        click.echo(f"{'*' if each['in_use'] else ' '} {each['summary']}")


@group.command()
@_number
@_as_json
def show(number: int | None, *, as_json: bool) -> None:
    """Show what a model was trained on and how it scored; by default the one in use."""
    store = _store()
    current = store.current()
    chosen = number or current
    if chosen is None:
        raise RecommenderError("no model is in use; run: flask model train")
    found = _described(chosen, training.load_model(store, chosen)[1], in_use=chosen == current)
    _echo(found, as_json=as_json)
    for name, value in {} if as_json else found.items():
        if name != "summary":
            click.echo(f"  {name}: {json.dumps(value)}")


@group.command()
@_number
def rollback(number: int | None) -> None:
    """Use an earlier model: the one of NUMBER, or the last before the one in use.

    It stays in use until the next is trained.
    """
    store = _store()
    current = store.current() or 0
    for each in [number] if number else [old for old in store.numbers()[::-1] if old < current]:
        try:
            about = training.load_model(store, each)[1]
        except ModelFileError as error:
            if number:
                raise
            click.echo(str(error), err=True)
            continue
        if not about.below_baseline:
            store.use(each)
            click.echo(f"In use: {about.summary(each)}.")
            return
    raise RecommenderError("there is no such model that does as well as popularity")


@group.command()
@click.option("--csv", "file", type=click.Path(path_type=Path), help="Measure on this CSV instead.")
@click.option(
    "--split",
    type=click.Choice(["random", "temporal", "place"]),
    default="temporal",
    show_default=True,
    help="Which choices are held out: any, the newest, or whole places.",
)
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True)
@_as_json
def evaluate(file: Path | None, split: evaluation.Split, seeds: int, *, as_json: bool) -> None:
    """Measure the model on held-out choices, next to popularity and the old server's forest.

    Brackets are 95 % bootstrap intervals. Values of a CSV count as they are written.
    """
    rows = deque(_from_log() if file is None else _from_csv(file), maxlen=_MAX_ROWS)
    contexts, chosen = [context for context, _ in rows], [title for _, title in rows]
    runs = evaluation.runs(contexts, chosen, split, seeds)
    with bar("Measuring", runs, seeds * len(evaluation.MODELS)) as shown:
        results = evaluation.summary(shown)
    if as_json:
        found = [{"model": each.model, "note": each.note, **_figures(each)} for each in results]
        click.echo(json.dumps({"split": split, "choices": len(rows), "results": found}, indent=2))
        return
    click.echo(f"{len(rows):,} choices, {split} split, {seeds} seeds; all but log loss in %")
    click.echo(f"{'':10}" + "".join(f"{each.model:22}" for each in results).rstrip())
    for metric in evaluation.METRICS:
        cells = (_cell(metric, each.figures.get(metric)) for each in results)
        click.echo(f"{metric:10}" + "".join(f"{cell:22}" for cell in cells).rstrip())
    for each in results:
        if each.note:
            click.echo(f"{each.model}: {each.note}")


def _described(number: int, about: ModelInfo, *, in_use: bool) -> dict[str, Any]:
    summary = about.summary(number)
    if about.fallback_for is not None:
        summary = f"model {number} is popularity, in place of model {about.fallback_for}"
    facts = about.model_dump(mode="json", exclude={"format"})
    return {"number": number, "in_use": in_use, "summary": summary, **facts}


def _echo(found: dict[str, Any], *, as_json: bool) -> None:
    click.echo(json.dumps(found, indent=2) if as_json else f"{found['summary']}.")


def _bar(total: int) -> Callable[[training.Batches], training.Batches]:
    def shown(batches: training.Batches) -> training.Batches:
        with bar("Training", length=total) as progress:
            for batch in batches:
                yield batch
                progress.update(len(batch[1]))

    return shown


def _from_log() -> Iterator[tuple[dict[str, str], str]]:
    with migrated_database().read() as session:
        for contexts, chosen in logs.choices(session):
            yield from zip(contexts, chosen, strict=True)


def _from_csv(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    with file_errors(f"{path} can't be read"), log_csv.open_csv(path) as source:
        reader = log_csv.Reader.of_file(source)  # named, as it would close the file when it goes
        rows = [row for row in reader if isinstance(row, LogRow)]
    moments = [logs.moment(row.client_sent_at) for row in rows]
    times = [moment.timestamp() for moment in moments if moment]
    if len(times) == len(rows):
        rows = [rows[at] for at in sorted(range(len(rows)), key=times.__getitem__)]
    for row in rows:
        yield {name: getattr(row, name) for name in CONTEXT}, row.movie_title


def _figures(result: evaluation.Result) -> dict[str, Any]:
    names = ("value", "low", "high")
    return {
        metric: {name: None if math.isnan(x) else x for name, x in zip(names, each, strict=True)}
        for metric, each in result.figures.items()
    }


def _cell(metric: str, figures: tuple[float, float, float] | None) -> str:
    if figures is None:
        return "-"
    value, low, high = figures if metric == "log_loss" else (100 * each for each in figures)
    return f"{value:.1f}" + (f" [{low:.1f}, {high:.1f}]" if metric != "coverage" else "")
