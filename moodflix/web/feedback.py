"""``POST /inference/feedback``: what a visitor says of a film."""

from __future__ import annotations

from datetime import datetime, timezone

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from moodflix.films import titles
from moodflix.requests import FeedbackRequest, read
from moodflix.store import answers, feedback
from moodflix.store import database as db
from moodflix.web.envelope import receive, reply

blueprint = Blueprint("feedback", __name__)


@blueprint.post("/inference/feedback")
def say() -> Response:
    """Keep a visitor's verdict, or take it back; the answer is sent once that is on the disk."""
    said = read(FeedbackRequest, receive("inference-feedback"))
    now = datetime.now(timezone.utc)

    def note(session: Session) -> None:
        key = titles.key(said.movie_title)
        answer_id = answers.answer_of_choice(session, key, now, said.inference_id)
        feedback.note(session, said, answer_id, now)

    db.current().commit(note)
    return reply({"status": "ok", "message": "feedback saved"}, "success")
