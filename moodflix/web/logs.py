"""``POST /inference/log`` and ``GET /inference/log``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from flask import Blueprint, Response, current_app, request

from moodflix.errors import InvalidInputError
from moodflix.learning.training import Trainer
from moodflix.requests import COLUMNS, LogQuery, LogRequest, read
from moodflix.station import Station
from moodflix.store import logs
from moodflix.store.database import current_database
from moodflix.web.envelope import answer_enveloped, read_payload, reply

blueprint = Blueprint("logs", __name__)
# The title is sent twice: under the column's name, and under the name it is posted with.
_COLUMNS: Final = (*COLUMNS, "movieTitle")


@blueprint.post("/inference/log")
def save() -> Response:
    """Save a choice; the answer is sent once the row is on the disk."""
    body = read_payload("inference-log", LogRequest)
    title = body.get("movieTitle")
    if title is None or (isinstance(title, str) and not title.strip()):
        raise InvalidInputError("movieTitle is required")
    choice = read(LogRequest, body)
    now = datetime.now(timezone.utc)
    station: Station = current_app.extensions["moodflix.station"]
    station.log_choice(choice, now)
    trainer: Trainer = current_app.extensions["moodflix.trainer"]
    trainer.refresh()
    return reply({"status": "ok", "message": "log saved"}, "success")


@blueprint.get("/inference/log")
def recent() -> Response:
    """List the newest choices, oldest of them first."""
    if current_app.extensions["moodflix.settings"].log_envelope:
        answer_enveloped()
    # As with the old server, a blank limit means the default.
    query = {name: value for name, value in request.args.items() if value.strip()}
    limit = read(LogQuery, query).limit
    with current_database().connection() as connection:
        rows = logs.recent(connection, limit)
    entries = [dict(zip(_COLUMNS, (*row, row[-1]), strict=True)) for row in rows]
    return reply(entries, "inference-log")
