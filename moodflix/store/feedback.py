"""All SQL about feedback: visitors' verdicts on films, their taste, and evidence for learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.orm import Session

from moodflix import vocabulary
from moodflix.films import shipped
from moodflix.requests import CONTEXT, FeedbackRequest
from moodflix.store import answers, films
from moodflix.store.models import Answer, Feedback, Film

NOT_TONIGHT: Final = timedelta(hours=12)
COLUMNS: Final = ("saidAt", "visitor", "movieTitle", "verdict", "inferenceId")
# With more loved films, tastes become alike.
_MAX_LOVED = 10
_BATCH = 2_000
# The arguments of `shipped.clear_title`.
_FILM = (Feedback.title, Feedback.film_key, Film.title)


@dataclass(frozen=True)
class Taste:
    """Films that one visitor loves, newest first, and keys of films to leave out."""

    loved: Sequence[str] = ()
    excluded: frozenset[str] = frozenset()


def save(connection: Connection, request: FeedbackRequest, now: datetime) -> None:
    """Replace the visitor's verdict on the film; ``none`` deletes it."""
    answer_id, film_key = answers.origin(
        connection, request.movie_title, now, request.inference_id, request.movie_year
    )
    mine = delete(Feedback).where(Feedback.visitor == request.visitor)
    found = connection.execute(mine.where(Feedback.film_key == film_key))
    if request.verdict == "none":
        # Without a year, the title may have meant another film before an answer listed it.
        if not found.rowcount and request.movie_year is None:
            connection.execute(mine.where(Feedback.title == request.movie_title))
    else:
        connection.execute(
            insert(Feedback).values(
                visitor=request.visitor,
                film_key=film_key,
                film_id=films.id_of(film_key),
                title=request.movie_title,
                verdict=request.verdict,
                answer_id=answer_id,
                said_at=now,
            )
        )


def taste(session: Session, visitor: str, now: datetime) -> Taste:
    """Return a visitor's taste now; films seen, loved or not, are left out for good."""
    rows = session.execute(
        select(*_FILM, Feedback.verdict)
        .select_from(Feedback)
        .join(Film, Film.id == Feedback.film_id, isouter=True)
        .where(Feedback.visitor == visitor)
        .where((Feedback.verdict != "not-tonight") | (Feedback.said_at > now - NOT_TONIGHT))
        .order_by(Feedback.said_at.desc(), Feedback.film_key)
    ).all()
    loved = [shipped.clear_title(*film) for *film, verdict in rows if verdict == "loved"]
    return Taste(loved[:_MAX_LOVED], frozenset(row.film_key for row in rows))


def stream(session: Session) -> Iterator[Sequence[str]]:
    """Yield the ``COLUMNS`` of each verdict, oldest first, in bounded memory."""
    rows = session.scalars(
        select(Feedback).order_by(Feedback.said_at, Feedback.visitor, Feedback.film_key),
        execution_options={"yield_per": _BATCH},
    )
    for each in rows:
        row = (each.visitor, each.title, each.verdict, each.answer_id or "")
        yield (each.said_at.isoformat(), *row)


def evidence(
    session: Session, choices: Iterable[tuple[list[dict[str, str]], list[str]]]
) -> Iterator[tuple[list[dict[str, str]], list[str], list[float]]]:
    """Yield loves, then choices, as batches of contexts, titles and weights to learn from.

    A love counts as a choice in the context of its answer, or in no context. Loves come first, as
    the oldest, so that recent tastes are learned from choices alone. A dislike cancels one choice
    of the film by anybody, the oldest in the mood of its answer, or the oldest in no known mood.
    """
    of_answer = (
        select(*_FILM, Answer.context)
        .select_from(Feedback)
        .join(Answer, Answer.id == Feedback.answer_id, isouter=True)
        .join(Film, Film.id == Feedback.film_id, isouter=True)
    )
    loves = session.execute(
        of_answer.where(Feedback.verdict == "loved").order_by(Feedback.said_at),
        execution_options={"yield_per": _BATCH},
    )
    for batch in loves.partitions():
        contexts = [
            {name: (context or {}).get(name, "") for name in CONTEXT} for *_, context in batch
        ]
        loved = [shipped.clear_title(*film) for *film, _ in batch]
        yield contexts, loved, [1.0] * len(batch)
    dislikes = _Dislikes(session.execute(of_answer.where(Feedback.verdict == "disliked")))
    for contexts, chosen in choices:
        pairs = zip(contexts, chosen, strict=True)
        yield contexts, chosen, [0.0 if dislikes.cancel(*each) else 1.0 for each in pairs]


class _Dislikes:
    """Dislikes that have not cancelled a choice yet, by film and mood."""

    def __init__(self, dislikes: Iterable[Any]) -> None:
        self._remaining = Counter((key, _mood(context or {})) for _, key, _, context in dislikes)
        self._films = {key for key, _ in self._remaining}

    def cancel(self, context: dict[str, str], title: str) -> bool:
        """Whether a dislike cancels this choice; each dislike cancels one."""
        if not self._films or (key := shipped.key_of(title)) not in self._films:
            return False
        for mood in (_mood(context), None):
            if self._remaining[key, mood] > 0:
                self._remaining[key, mood] -= 1
                return True
        return False


def _mood(context: dict[str, str]) -> str | None:
    return vocabulary.mood(context.get("mood"))
