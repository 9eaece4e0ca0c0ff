"""All SQL about feedback: what visitors said of films, and what that means for them and for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from moodflix import vocabulary
from moodflix.films import shipped
from moodflix.requests import CONTEXT, FeedbackRequest
from moodflix.store import answers, films
from moodflix.store.models import Answer, Feedback, Film

NOT_TONIGHT: Final = timedelta(hours=12)
COLUMNS: Final = ("saidAt", "visitor", "movieTitle", "verdict", "inferenceId")
# Use only the 10 newest loved films as taste: with more, tastes grow alike.
_TOLD = 10
_BATCH = 2_000
# What ``clear_title`` takes.
_FILM = (Feedback.title, Feedback.film_key, Film.title)


@dataclass(frozen=True)
class Taste:
    """What one visitor said: films they love, newest first, and keys of films to leave out."""

    loved: Sequence[str] = ()
    excluded: frozenset[str] = frozenset()


def save(session: Session, said: FeedbackRequest, now: datetime) -> None:
    """Keep a verdict in place of what the visitor said of this film before; ``none`` takes back."""
    answer_id, film_key = answers.origin(session, said.movie_title, now, said.inference_id)
    mine = (Feedback.visitor == said.visitor, Feedback.film_key == film_key)
    session.execute(delete(Feedback).where(*mine))
    if said.verdict != "none":
        session.add(
            Feedback(
                visitor=said.visitor,
                film_key=film_key,
                film_id=films.id_of(film_key),
                title=said.movie_title,
                verdict=said.verdict,
                answer_id=answer_id,
                said_at=now,
            )
        )


def taste(session: Session, visitor: str, now: datetime) -> Taste:
    """Return what holds for a visitor now; films seen, loved or not, are left out for good."""
    rows = session.execute(
        select(*_FILM, Feedback.verdict)
        .select_from(Feedback)
        .join(Film, Film.id == Feedback.film_id, isouter=True)
        .where(Feedback.visitor == visitor)
        .where((Feedback.verdict != "not-tonight") | (Feedback.said_at > now - NOT_TONIGHT))
        .order_by(Feedback.said_at.desc(), Feedback.film_key)
    ).all()
    loved = [shipped.clear_title(*film) for *film, verdict in rows if verdict == "loved"]
    return Taste(loved[:_TOLD], frozenset(row.film_key for row in rows))


def stream(session: Session) -> Iterator[Sequence[str]]:
    """Yield the ``COLUMNS`` of each verdict that holds, oldest first, in bounded memory."""
    rows = session.scalars(
        select(Feedback).order_by(Feedback.said_at, Feedback.visitor, Feedback.film_key),
        execution_options={"yield_per": _BATCH},
    )
    for each in rows:
        told = (each.visitor, each.title, each.verdict, each.answer_id or "")
        yield (each.said_at.isoformat(), *told)


def evidence(
    session: Session, choices: Iterable[tuple[list[dict[str, str]], list[str]]]
) -> Iterator[tuple[list[dict[str, str]], list[str], list[float]]]:
    """Yield loves, then choices, as batches of contexts, titles and weights to learn from.

    A love is a choice in the context of the answer it was said of (none, if of no answer); loves
    come first, as the oldest, so that they tell nothing of late tastes. A dislike takes back one
    choice of the film by anybody, the oldest in the mood of its answer, if there is one; where no
    mood is known, the oldest of all.
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
        contexts = [{name: (told or {}).get(name, "") for name in CONTEXT} for *_, told in batch]
        loved = [shipped.clear_title(*film) for *film, _ in batch]
        yield contexts, loved, [1.0] * len(batch)
    regrets = _Regrets(session.execute(of_answer.where(Feedback.verdict == "disliked")))
    for contexts, chosen in choices:
        pairs = zip(contexts, chosen, strict=True)
        yield contexts, chosen, [0.0 if regrets.take(*each) else 1.0 for each in pairs]


class _Regrets:
    """Dislikes that have yet to take back a choice, by film and mood."""

    def __init__(self, dislikes: Iterable[Any]) -> None:
        said = ((key, _mood(told or {})) for _, key, _, told in dislikes)
        self._open = Counter(said)
        self._films = {key for key, _ in self._open}

    def take(self, context: dict[str, str], title: str) -> bool:
        """Whether a dislike takes this choice back; each does so once."""
        if not self._films or (key := shipped.key_of(title)) not in self._films:
            return False
        for mood in (_mood(context), None):
            if self._open[key, mood] > 0:
                self._open[key, mood] -= 1
                return True
        return False


def _mood(context: dict[str, str]) -> str | None:
    return vocabulary.mood(context.get("mood"))
