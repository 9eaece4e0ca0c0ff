"""``POST /inference``."""

from __future__ import annotations

from datetime import datetime, timezone

from flask import Blueprint, Response, current_app, g

from moodflix.errors import LlmError
from moodflix.inference import Station
from moodflix.recommend.llm import UNAVAILABLE
from moodflix.schemas import InferenceRequest, read
from moodflix.web.envelope import receive, reply

blueprint = Blueprint("inference", __name__)


@blueprint.post("/inference")
def infer() -> Response:
    """Recommend films for an evening."""
    request = read(InferenceRequest, receive("inference"))
    station: Station = current_app.extensions["moodflix.station"]
    try:
        given = station.answer(request, datetime.now(timezone.utc))
    except LlmError:
        g.llm = UNAVAILABLE
        raise
    g.llm = given.llm.status
    return reply(given.as_json(), "inference")
