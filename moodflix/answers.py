"""All SQL about answers: what was recommended, and which answer a choice came from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from moodflix.models import Answer, AnswerPick, Base

# Old front-ends name no answer: a choice belongs to the newest one this fresh that listed it.
LINK_WINDOW = timedelta(minutes=30)


def record(session: Session, answer: Answer) -> None:
    """Store an answer with its picks."""
    # Plain inserts: the unit of work would cost as much as the ranking.
    session.execute(insert(Answer.__table__), _columns(answer))  # type: ignore[arg-type]
    picks = [_columns(pick) | {"answer_id": answer.id} for pick in answer.picks]
    session.execute(insert(AnswerPick.__table__), picks)  # type: ignore[arg-type]


def _columns(row: Base) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def chosen_from(
    session: Session, film_key: str, now: datetime, inference_id: str | None = None
) -> str | None:
    """Return the id of the answer a choice came from, or ``None``.

    That is the answer named by ``inference_id``, else the newest of the last 30 minutes that
    listed the film.
    """
    if inference_id:
        named = session.scalar(select(Answer.id).where(Answer.id == inference_id))
        if named is not None:
            return named
    return session.scalar(
        select(Answer.id)
        .join(AnswerPick, AnswerPick.answer_id == Answer.id)
        .where(Answer.answered_at.between(now - LINK_WINDOW, now), AnswerPick.film_key == film_key)
        .order_by(Answer.answered_at.desc())
        .limit(1)
    )
