"""The use case: perceive, rank, fuse, remember. The only place that degrades."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from moodflix import answers, films, logbook, perception, titles
from moodflix.db import Database
from moodflix.errors import DatabaseUnavailableError, LlmError, RecommenderError
from moodflix.models import Answer, AnswerPick, Film
from moodflix.perception import Perceived
from moodflix.recommend import llm, reasons
from moodflix.recommend.catalogue import Catalogue
from moodflix.recommend.context_model import ContextRecommender
from moodflix.recommend.fusion import Fused, RankedList, evidence_weight, fuse
from moodflix.recommend.llm import LlmAnswer
from moodflix.recommend.ranking import LLM, Pick, Query, Recommender
from moodflix.schemas import CONTEXT, Environment, InferenceRequest, LogRequest

logger = logging.getLogger(__name__)
# Lists longer than what is shown let films that several recommenders rank low still meet.
_DEPTH = 3


@dataclass(frozen=True)
class Given:
    """One answer of the station, ready to be sent."""

    id: str | None
    movies: list[str]
    primary_llm: list[str]
    picks: list[dict[str, Any]]
    perceived: Perceived
    llm: LlmAnswer
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the documented object."""
        return {
            "movies": self.movies,
            "primary_llm": self.primary_llm,
            "mood": self.perceived.mood,
            "tone": self.perceived.tone,
            "inferenceId": self.id,
            "picks": self.picks,
            "llm": {
                "status": self.llm.status,
                "model": self.llm.model,
                "detail": self.llm.detail,
                "seconds": round(self.llm.seconds, 3),
            },
            "perceived": self.perceived.as_json(),
            "warnings": self.warnings,
        }


class Station:
    """Answers what to watch and remembers what was chosen."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        context: ContextRecommender,
        asked: llm.OllamaRecommender | llm.NoLlm,
        *,
        llm_required: bool,
    ) -> None:
        """Join the recommenders; with ``llm_required`` an LLM that fails fails the answer."""
        self._database = database
        self.catalogue = catalogue
        self.context = context
        self.llm = asked
        self._llm_required = llm_required

    def answer(self, request: InferenceRequest, now: datetime) -> Given:
        """Recommend films for one evening.

        Raises:
            LlmError: the LLM failed and is required.
            RecommenderError: not one recommender could answer.
        """
        started = time.monotonic()
        env, warnings = Environment.lenient(request.environment)
        warnings += _not_read(request)
        perceived = perception.perceive(request)
        asked = self._ask(_query(request, env, perceived, now), request.limit)
        perceived = perceived.or_read_by_llm(asked.mood, asked.tone)
        query = _query(request, env, perceived, now)
        fused = self._fuse(query, asked, request.limit, warnings)
        known, chosen = self._facts(fused)
        picks = [self._pick(each, query, known, chosen) for each in fused]
        answer = Answer(
            id=uuid.uuid4().hex,
            answered_at=now,
            context=dict(query.context),
            mood_source=perceived.mood_source,
            tone_source=perceived.tone_source,
            llm_status=asked.status,
            seconds=time.monotonic() - started,
            picks=[_stored_pick(place, pick) for place, pick in enumerate(picks, start=1)],
        )
        return Given(
            id=self._remember(answer, warnings),
            movies=[pick["title"] for pick in picks],
            primary_llm=[pick.title for pick in asked.picks],
            picks=picks,
            perceived=perceived,
            llm=asked,
            warnings=warnings,
        )

    def _ask(self, query: Query, n: int) -> LlmAnswer:
        started = time.monotonic()
        try:
            return self.llm.ask(query, n)
        except LlmError as error:
            if self._llm_required:
                raise
            return llm.unavailable(
                getattr(self.llm, "model", None), str(error), time.monotonic() - started
            )

    def _fuse(self, query: Query, asked: LlmAnswer, n: int, warnings: list[str]) -> list[Fused]:
        depth = n * _DEPTH
        model = self.context.model
        lists = [RankedList(LLM, asked.picks)]
        own: Sequence[tuple[Recommender, Callable[[], float]]] = (
            (self.context, lambda: evidence_weight(model.rows)),
            (self.catalogue, lambda: 1.0),
        )
        for recommender, weight in own:
            try:
                lists.append(RankedList(recommender.name, recommender.rank(query, depth), weight()))
            except RecommenderError as error:
                logger.warning("%s can't answer: %s", recommender.name, error)
                warnings.append(f"{recommender.name}: {error}")
        fused = fuse(lists, n)
        if not fused:
            raise RecommenderError("; ".join(filter(None, ("no film to recommend", *warnings))))
        return fused

    def _facts(self, fused: Sequence[Fused]) -> tuple[dict[str, list[Film]], dict[str, int]]:
        keys = [each.pick.key for each in fused]
        try:
            with self._database.read() as session:
                return films.known(session, keys), logbook.times_chosen(session, keys)
        except DatabaseUnavailableError as error:
            logger.warning("answering without facts: %s", error)
            return {}, {}

    def _pick(
        self, each: Fused, query: Query, known: dict[str, list[Film]], chosen: dict[str, int]
    ) -> dict[str, Any]:
        key = each.pick.key
        film = _same(each.pick, known.get(key, []))
        return {
            "title": film.title if film else each.pick.title,
            "year": film.year if film else each.pick.year,
            "sources": dict(each.sources),
            "why": reasons.why(
                each.sources, film, query, chosen.get(key, 0), each.whys.get(LLM, "")
            ),
        }

    def _remember(self, answer: Answer, warnings: list[str]) -> str | None:
        try:
            self._database.commit(lambda session: answers.record(session, answer))
        except DatabaseUnavailableError as error:
            logger.warning("an answer was not stored: %s", error)
            warnings.append(f"this answer was not stored: {error}")
            return None
        return answer.id


def log_choice(session: Session, request: LogRequest, now: datetime) -> None:
    """Add a choice to the log, linked to the answer it came from."""
    row = request.row()
    key = titles.key(row.movie_title)
    answer_id = answers.chosen_from(session, key, now, request.inference_id)
    logbook.add(session, row, now, answer_id)


def _query(
    request: InferenceRequest, env: Environment, perceived: Perceived, now: datetime
) -> Query:
    spoken = {
        "mood": (perceived.mood, perceived.mood_source),
        "tone": (perceived.tone, perceived.tone_source),
    }
    context = {}
    for name in CONTEXT:
        if name in spoken:
            label, source = spoken[name]
            # A neutral that nobody said is not known.
            context[name] = "" if source == perception.NONE else label
        else:
            value = getattr(env, name)
            context[name] = "" if value is None else str(value)
    named = (*request.movies, *request.exclude)
    return Query(
        context=context,
        hour=now.astimezone().hour,
        words=request.text,
        liked=tuple(request.movies),
        excluded=frozenset(titles.key(title) for title in named),
    )


def _not_read(request: InferenceRequest) -> list[str]:
    counts = (
        ("images", len(request.images), "frame"),
        ("audio", int(request.audio is not None), "clip"),
    )
    return [
        f"{field}: {count} {thing}{'s' if count > 1 else ''} received and not read; "
        "this version reads words and labels"
        for field, count, thing in counts
        if count
    ]


def _same(pick: Pick, known: Sequence[Film]) -> Film | None:
    return next((film for film in known if pick.year in (None, film.year)), None)


def _stored_pick(place: int, pick: dict[str, Any]) -> AnswerPick:
    return AnswerPick(
        position=place,
        film_key=titles.key(pick["title"]),
        title=pick["title"],
        year=pick["year"],
        sources=pick["sources"],
    )
