"""The use case: perceive, rank, fuse, remember. The only place that degrades."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy.orm import Session

from moodflix import answers, films, logbook, perception, titles
from moodflix.config import Settings
from moodflix.db import Database
from moodflix.errors import DatabaseUnavailableError, LlmError, RecommenderError
from moodflix.models import Answer, AnswerPick, Film
from moodflix.perception import Perceived
from moodflix.recommend import llm, reasons
from moodflix.recommend.catalogue import Catalogue
from moodflix.recommend.context_model import ContextRecommender
from moodflix.recommend.fusion import Fused, RankedList, evidence_weight, fuse
from moodflix.recommend.llm import Listener, LlmAnswer
from moodflix.recommend.llm.prompt import MAX_CANDIDATES
from moodflix.recommend.llm.wire import Deadline
from moodflix.recommend.ranking import CATALOGUE, LLM, Pick, Query, Recommender, admissible
from moodflix.recommend.ranking import CONTEXT as CONTEXT_MODEL
from moodflix.schemas import CONTEXT, Environment, InferenceRequest, LogRequest

logger = logging.getLogger(__name__)
# Lists longer than what is shown let films that several recommenders rank low still meet.
_DEPTH = 3
_HEARTBEAT_SECONDS = 1.0


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
                "seconds": round(self.llm.numbers.total, 3),
            },
            "perceived": self.perceived.as_json(),
            "warnings": self.warnings,
        }


@dataclass(frozen=True)
class Event:
    """One piece of a streamed answer; ``data`` is JSON, a ``Given`` or an exception."""

    name: str
    data: Any = None


HEARTBEAT = Event("heartbeat")


class _Told(Listener):
    """Puts what the LLM's call tells into a queue of events."""

    def __init__(
        self, events: SimpleQueue[Event], checked: Callable[[Sequence[Pick]], list[Pick]]
    ) -> None:
        self._events = events
        self._checked = checked
        self._told: set[str] = set()

    def queued(self, position: int) -> None:
        self._events.put(Event("queue", {"position": position}))

    def named(self, pick: Pick) -> None:
        for film in self._checked([pick]):
            # Two spellings may turn out to be one film.
            if film.key in self._told:
                continue
            self._told.add(film.key)
            told = {
                "title": film.title,
                "year": film.year,
                "known": film.known,
                "why": film.why,
            }
            self._events.put(Event("pick", told))


@dataclass
class _Asking:
    """One request on its way: what is known before the LLM is asked."""

    request: InferenceRequest
    env: Environment
    now: datetime
    perceived: Perceived
    query: Query
    own: list[RankedList]
    warnings: list[str]
    started: float = field(default_factory=time.monotonic)


class Station:
    """Answers what to watch and remembers what was chosen."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        context: ContextRecommender,
        asked: llm.OllamaRecommender | llm.NoLlm,
        settings: Settings,
    ) -> None:
        """Join the recommenders; the settings say what an LLM may do that fails or invents."""
        self._database = database
        self.catalogue = catalogue
        self.context = context
        self.llm = asked
        self._llm_required = settings.llm == "ollama"
        self._keep_unknown = settings.unknown_films == "keep"
        # Under one GIL many at once are no faster, and logs would wait for all of them.
        self._turn = threading.Lock()
        self._storing = threading.Lock()

    def answer(self, request: InferenceRequest, now: datetime) -> Given:
        """Recommend films for one evening.

        Raises:
            LlmError: the LLM failed and is required.
            RecommenderError: not one recommender could answer.
        """
        asking = self._begin(request, now)
        return self._finish(asking, self._ask(asking, Deadline(self.llm.timeout), Listener()))

    def stream(self, request: InferenceRequest, now: datetime) -> Iterator[Event]:
        """Recommend films for one evening, piece by piece.

        Yields ``perceived``, ``picks`` (the station's own), ``queue`` and ``pick`` as the LLM goes
        on, and at last ``answer`` or ``error``; between them a heartbeat each second. The LLM is
        left alone as soon as the iterator is closed.
        """
        asking = self._begin(request, now)
        yield Event("perceived", asking.perceived.as_json())
        fused = fuse(asking.own, request.limit)
        yield Event("picks", {"picks": self._described(fused, asking.query)})
        deadline = Deadline(self.llm.timeout)
        events: SimpleQueue[Event] = SimpleQueue()

        told = _Told(events, lambda picks: self._checked(picks, asking.query))

        def work() -> None:
            events.put(self._last_event(asking, deadline, told))

        worker = threading.Thread(target=work, name="llm", daemon=True)
        worker.start()
        try:
            while True:
                try:
                    event = events.get(timeout=_HEARTBEAT_SECONDS)
                except Empty:
                    event = HEARTBEAT
                yield event
                if event.name in ("answer", "error"):
                    break
        finally:
            deadline.cancel()
            worker.join()

    def _last_event(self, asking: _Asking, deadline: Deadline, listener: Listener) -> Event:
        try:
            asked = self._ask(asking, deadline, listener)
            if deadline.cancelled:
                # What nobody will see is no answer: none is stored.
                return Event("error")
            given = self._finish(asking, asked)
        except Exception as error:  # noqa: BLE001 - handed over to the thread that answers
            return Event("error", error)
        return Event("answer", given)

    def _begin(self, request: InferenceRequest, now: datetime) -> _Asking:
        env, warnings = Environment.lenient(request.environment)
        warnings += _not_read(request)
        perceived = perception.perceive(request)
        query = _query(request, env, perceived, now)
        asking = _Asking(request, env, now, perceived, query, [], warnings)
        asking.own = self._own(query, max(request.limit * _DEPTH, MAX_CANDIDATES), warnings)
        return asking

    def _ask(self, asking: _Asking, deadline: Deadline, listener: Listener) -> LlmAnswer:
        def candidates() -> list[Pick]:
            return [each.pick for each in fuse(asking.own, MAX_CANDIDATES)]

        try:
            return self.llm.ask(asking.query, asking.request.limit, candidates, deadline, listener)
        except LlmError as error:
            if self._llm_required:
                raise
            model = getattr(self.llm, "model", None)
            return llm.unavailable(model, str(error), deadline.seconds - deadline.left())

    def _finish(self, asking: _Asking, asked: LlmAnswer) -> Given:
        perceived = asking.perceived.or_read_by_llm(asked.mood, asked.tone)
        query, own = asking.query, asking.own
        if perceived != asking.perceived:
            query = _query(asking.request, asking.env, perceived, asking.now)
            own = self._own(query, asking.request.limit * _DEPTH, [])
        asked = replace(asked, picks=self._checked(asked.picks, query))
        fused = fuse([RankedList(LLM, asked.picks), *own], asking.request.limit)
        if not fused:
            problems = ("no film to recommend", *asking.warnings)
            raise RecommenderError("; ".join(problems))
        picks = self._described(fused, query)
        answer = Answer(
            id=uuid.uuid4().hex,
            answered_at=asking.now,
            context=dict(query.context),
            mood_source=perceived.mood_source,
            tone_source=perceived.tone_source,
            llm_status=asked.status,
            llm_numbers=asked.numbers.as_json(),
            seconds=time.monotonic() - asking.started,
            picks=[_stored_pick(place, pick) for place, pick in enumerate(picks, start=1)],
        )
        return Given(
            id=self._remember(answer, asking.warnings),
            movies=[pick["title"] for pick in picks],
            primary_llm=[pick.title for pick in asked.picks],
            picks=picks,
            perceived=perceived,
            llm=asked,
            warnings=asking.warnings,
        )

    def _checked(self, picks: Sequence[Pick], query: Query) -> list[Pick]:
        """Return the LLM's films under the titles and years the station knows them by."""
        try:
            with self._database.read() as session:
                checked = [films.identified(session, pick) for pick in picks]
        except DatabaseUnavailableError as error:
            logger.warning("films of the LLM are not looked up: %s", error)
            return list(picks)
        kept = (pick for pick in checked if pick.known or self._keep_unknown)
        return list(admissible(kept, query))

    def _own(self, query: Query, depth: int, warnings: list[str]) -> list[RankedList]:
        # One look: the trainer may swap the model meanwhile.
        weights = {CONTEXT_MODEL: evidence_weight(self.context.model.rows), CATALOGUE: 1.0}
        recommenders: Sequence[Recommender] = (self.context, self.catalogue)
        lists = []
        for recommender in recommenders:
            try:
                with self._turn:
                    picks = recommender.rank(query, depth)
            except RecommenderError as error:
                logger.warning("%s can't answer: %s", recommender.name, error)
                warnings.append(f"{recommender.name}: {error}")
            else:
                lists.append(RankedList(recommender.name, picks, weights[recommender.name]))
        return lists

    def _described(self, fused: Sequence[Fused], query: Query) -> list[dict[str, Any]]:
        with self._turn:
            known, chosen = self._facts(fused)
            return [self._pick(each, query, known, chosen) for each in fused]

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
        film = films.meant(known.get(key, []), each.pick.year)
        return {
            "title": film.title if film else each.pick.title,
            "year": film.year if film else each.pick.year,
            # The catalogue ranks what ships, even while the table can't be read.
            "known": film is not None or CATALOGUE in each.sources,
            "sources": dict(each.sources),
            "why": reasons.why(
                each.sources, film, query, chosen.get(key, 0), each.whys.get(LLM, "")
            ),
        }

    def _remember(self, answer: Answer, warnings: list[str]) -> str | None:
        try:
            # At most one answer at the writers' lock: a log waits for no more.
            with self._storing:
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


def _stored_pick(place: int, pick: dict[str, Any]) -> AnswerPick:
    return AnswerPick(
        position=place,
        film_key=titles.key(pick["title"]),
        title=pick["title"],
        year=pick["year"],
        sources=pick["sources"],
    )
