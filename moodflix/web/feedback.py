"""``POST /inference/feedback``: what a visitor says of a film."""

from __future__ import annotations

from datetime import datetime, timezone

from flask import Blueprint, Response

from moodflix.requests import FeedbackRequest, read
from moodflix.store import database as db
from moodflix.store import feedback
from moodflix.web.envelope import receive, reply

blueprint = Blueprint("feedback", __name__)


@blueprint.post("/inference/feedback")
def say() -> Response:
    """Keep a visitor's verdict, or take it back; the answer is sent once that is on the disk."""
    said = read(FeedbackRequest, receive("inference-feedback"))
    now = datetime.now(timezone.utc)
    db.current().commit(lambda session: feedback.save(session, said, now))
    return reply({"status": "ok", "message": "feedback saved"}, "success")
