"""``GET /healthz`` and ``GET /readyz``."""

from __future__ import annotations

from flask import Blueprint, Response, current_app

from moodflix.errors import DatabaseUnavailableError, RecommenderError, SchemaError
from moodflix.learning.training import Trainer
from moodflix.station import Station
from moodflix.store import migration
from moodflix.store.database import current_database
from moodflix.store.writer import Writer
from moodflix.web.exchange import reply

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer that this process serves requests; nothing else is checked."""
    return reply({"status": "ok"}, "health")


@blueprint.get("/readyz")
def ready() -> Response:
    """Answer whether films and logs can be served (503 if not), and which recommenders are up."""
    station: Station = current_app.extensions["moodflix.station"]
    database = {"status": "up", "detail": _bookkeeping(current_database().writer)}
    try:
        migration.require_newest(current_database())
    except (DatabaseUnavailableError, SchemaError) as error:
        database = {"status": "down", "detail": str(error)}
    catalogue = {"status": "up", "detail": ""}
    try:
        station.catalogue.warm()
        catalogue["detail"] = f"{len(station.catalogue)} films"
    except RecommenderError as error:
        catalogue = {"status": "down", "detail": str(error)}
    rows = station.learned.model.rows
    trainer: Trainer = current_app.extensions["moodflix.trainer"]
    learned = (f"learned from {rows} choices", trainer.problem)
    status, detail = station.llm.check()
    is_ready = database["status"] == catalogue["status"] == "up"
    return reply(
        {
            "status": "ready" if is_ready else "not ready",
            "database": database,
            "recommenders": {
                "catalogue": catalogue,
                "context": {
                    "status": "up" if rows else "empty",
                    "detail": "; ".join(filter(None, learned)),
                },
                "llm": {"status": status, "detail": detail},
            },
        },
        "health",
        200 if is_ready else 503,
    )


def _bookkeeping(writer: Writer) -> str:
    """Say how many answers wait to be stored, and how many were dropped; empty if none."""
    counts = {"wait to be stored": len(writer), "were not stored": writer.dropped}
    return ", ".join(f"{count} answers {what}" for what, count in counts.items() if count)
