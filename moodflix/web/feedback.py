"""``POST /inference/feedback``: a visitor's verdict on a film."""

from __future__ import annotations

from datetime import datetime, timezone

from flask import Blueprint, Response, current_app

from moodflix.requests import FeedbackRequest, read
from moodflix.station import Station
from moodflix.web.envelope import read_payload, reply

blueprint = Blueprint("feedback", __name__)


@blueprint.post("/inference/feedback")
def save() -> Response:
    """Save or delete a visitor's verdict; the answer is sent once that is on the disk."""
    verdict = read(FeedbackRequest, read_payload("inference-feedback", FeedbackRequest))
    now = datetime.now(timezone.utc)
    station: Station = current_app.extensions["moodflix.station"]
    station.save_feedback(verdict, now)
    return reply({"status": "ok", "message": "feedback saved"}, "success")
