"""The use cases: recommend films, log a choice, save feedback.

Only this module goes on without a recommender or the database where they fail.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from moodflix.config import Settings
from moodflix.errors import DatabaseUnavailableError, RecommenderError
from moodflix.films import shipped, titles
from moodflix.films.shipped import ShippedFilm
from moodflix.films.titles import KnownFilm
from moodflix.perception.merge import Perceived, perceive
from moodflix.perception.wishes import Understanding, understand
from moodflix.recommend import fusion
from moodflix.recommend.answer import (
    HEARTBEAT,
    Event,
    LlmAnswer,
    Named,
    NoLlm,
    Queued,
    Recommendation,
)
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.catalogue.reasons import Reasons
from moodflix.recommend.fusion import FusedPick, RankedList, evidence_weight, fuse, with_exploration
from moodflix.recommend.learned.model import LearnedRecommender
from moodflix.recommend.llm.prompt import MAX_CANDIDATES
from moodflix.recommend.llm.recommender import OllamaRecommender
from moodflix.recommend.query import Pick, Query, Recommender, admissible
from moodflix.requests import (
    Environment,
    FeedbackRequest,
    InferenceRequest,
    LogRow,
)
from moodflix.store import answers, feedback, films, logs, saved_requests
from moodflix.store.answers import StoredAnswer, StoredPick
from moodflix.store.database import Database
from moodflix.store.writer import Work
from moodflix.vocabulary import CATALOGUE, LEARNED, LLM

logger = logging.getLogger(__name__)
# Recommenders rank more films than are shown, so that those further down in several lists count.
_RANKED_PER_SHOWN = 3
# How many of the newest answers the weights are fitted on.
_MAX_ANSWERS = 2_000


@dataclass(frozen=True)
class _Pending:
    """A request while the LLM works on it, with the lists of the station's own recommenders."""

    request: InferenceRequest
    now: datetime
    started: float
    perceived: Perceived
    query: Query
    lists: list[RankedList]
    warnings: list[str]

    def fused(self, lists: Sequence[RankedList]) -> list[FusedPick]:
        """Return the films to show: the lists fused, with exploration."""
        limit = self.request.limit
        return with_exploration(fuse(lists, limit * _RANKED_PER_SHOWN), limit, self.query)

    def candidates(self) -> list[Pick]:
        """Return the films that the LLM may choose from."""
        return [film.pick for film in fuse(self.lists, MAX_CANDIDATES)]


class Station:
    """Recommends films, and saves choices and feedback."""

    def __init__(  # noqa: PLR0913 - what a station is made of
        self,
        database: Database,
        catalogue: Catalogue,
        learned: LearnedRecommender,
        llm: OllamaRecommender | NoLlm,
        settings: Settings,
        *,
        perceive: Callable[[InferenceRequest, Understanding], Perceived] = perceive,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Use these recommenders; a simulation replaces perception, clock and ids."""
        self._perceive, self._clock, self._new_id = perceive, clock, new_id
        self._database = database
        self.catalogue = catalogue
        self.learned = learned
        self.llm = llm
        self._keep_unknown = settings.unknown_films == "keep"
        self._repeat_after = timedelta(days=settings.repeat_days)
        self._weights: Mapping[str, float] = fusion.PRIORS
        self._choice_counts = logs.ChoiceCounts()
        # Under the GIL, ranking in parallel is no faster and would delay logs.
        self._ranking_lock = threading.Lock()

    def refit_weights(self) -> None:
        """Fit the recommenders' weights to what was chosen from the films shown.

        Raises:
            DatabaseUnavailableError: the answers can't be read.
        """
        with self._database.read() as session:
            rows = answers.choice_sets(session, _MAX_ANSWERS)
        self._weights = fusion.fit_weights([fusion.ChoiceSet(*row) for row in rows])

    def weights(self) -> dict[str, float]:
        """Return the weight of each recommender."""
        # Read once, as the trainer may swap the model meanwhile.
        evidence = evidence_weight(self.learned.model.rows)
        return {**self._weights, LEARNED: evidence * self._weights[LEARNED]}

    def answer(
        self, request: InferenceRequest, now: datetime, *, remember: bool = True
    ) -> Recommendation:
        """Recommend films for one evening, and store the answer if ``remember`` is true.

        Raises:
            LlmError: the LLM failed and is required.
            RecommenderError: not one recommender could answer.
        """
        *_, answer = self._events(request, now, remember=remember)
        return cast(Recommendation, answer.data)

    def stream(self, request: InferenceRequest, now: datetime) -> Iterator[Event]:
        """Recommend films for one evening, as a stream of events.

        Yields ``perceived``, ``picks`` (the station's own), ``queue`` and ``pick`` while the LLM
        works, and a heartbeat each second without another event; the last is ``answer`` or
        ``error``. Closing the iterator cancels the call to the LLM.
        """
        events = self._events(request, now, progress=True)
        yield next(events)
        try:
            yield from events
        except Exception as error:  # noqa: BLE001 - the headers are sent, so it becomes an event
            yield Event("error", error)

    def log_choice(
        self,
        row: LogRow,
        answer_id: str | None,
        now: datetime,
        year: int | None = None,
        key: str = "",
    ) -> None:
        """Add a choice to the log, linked to the answer it came from; ``year`` is the film's.

        One that was saved before with the same ``key`` is not added again.

        Raises:
            InvalidInputError: the key came with another choice.
            DatabaseUnavailableError: it can't be saved.
        """
        work: Work = partial(
            answers.log_choice, row=row, now=now, inference_id=answer_id, year=year
        )
        if key:
            content = repr((row.model_dump(), answer_id, year))
            work = saved_requests.once(work, key, content, now)
        self._database.commit(work)

    def save_feedback(self, request: FeedbackRequest, now: datetime) -> None:
        """Save or delete a visitor's verdict.

        Raises:
            DatabaseUnavailableError: it can't be saved.
        """
        self._database.commit(partial(feedback.save, request=request, now=now))

    def _events(
        self,
        request: InferenceRequest,
        now: datetime,
        *,
        progress: bool = False,
        remember: bool = True,
    ) -> Iterator[Event]:
        """Yield the events of a request, the answer last; ``progress``: also films found so far."""
        pending = self._prepare(request, now)
        if progress:
            yield Event("perceived", pending.perceived.as_json())
            yield Event("picks", {"picks": self._picks_json(pending, pending.fused(pending.lists))})
        shown: set[str] = set()
        with closing(self.llm.ask(pending.query, request.limit, pending.candidates)) as events:
            for event in events:
                if isinstance(event, LlmAnswer):
                    yield Event("answer", self._complete(pending, event, remember=remember))
                elif isinstance(event, Queued):
                    yield Event("queue", {"position": event.position})
                elif isinstance(event, Named) and progress:
                    yield from self._new_picks(event.pick, pending.query, shown)
                else:
                    yield HEARTBEAT

    def _new_picks(self, named: Pick, query: Query, shown: set[str]) -> Iterator[Event]:
        """Yield the event of a film that the LLM named, if it may be shown and wasn't."""
        for film in self._admissible_llm_picks([named], query):
            # The LLM may name one film in two spellings.
            if film.key not in shown:
                shown.add(film.key)
                known = {"title": film.title, "year": film.year, "known": film.known}
                yield Event("pick", {**known, "why": film.why})

    def _prepare(self, request: InferenceRequest, now: datetime) -> _Pending:
        started = self._clock()
        words = understand(request.text, request.mood)
        perceived = self._perceive(request, words)
        environment, warnings = Environment.lenient(request.environment)
        taste, excluded = self._history(request, now, warnings)
        local = now.astimezone(self._database.zone)
        query = Query(
            context=environment.as_context() | perceived.as_context(),
            hour=local.hour,
            words=words,
            liked=tuple(request.movies),
            loved=taste.loved,
            excluded=excluded,
            intent=request.intent,
            max_minutes=request.max_minutes,
            family=request.family,
            seed=request.seed,
            date=local.date().isoformat(),
        )
        lists = self._ranked(query, request.limit, warnings)
        return _Pending(request, now, started, perceived, query, lists, warnings)

    def _history(
        self, request: InferenceRequest, now: datetime, warnings: list[str]
    ) -> tuple[feedback.Taste, frozenset[str]]:
        """Return the visitor's taste, and the keys of the films to exclude.

        Excluded are films named in the request, seen by the visitor, or chosen here lately.
        """
        named = (*request.movies, *request.exclude)
        taste, chosen_lately = feedback.Taste(), frozenset[str]()
        try:
            with self._database.read() as session:
                if request.visitor is not None:
                    taste = feedback.taste(session, request.visitor, now)
                if self._repeat_after:
                    chosen_lately = logs.chosen_since(session, now - self._repeat_after)
                keys = films.keys_to_leave_out(session, named) if named else set[str]()
        except DatabaseUnavailableError as error:
            if request.visitor is not None:
                warnings.append(f"what this visitor said of films is not known: {error}")
            if self._repeat_after:
                warnings.append(f"films chosen lately are not left out: {error}")
            keys = set(map(shipped.key_of, named))
        return taste, taste.excluded.union(chosen_lately, keys)

    def _ranked(self, query: Query, limit: int, warnings: list[str]) -> list[RankedList]:
        """Return the lists of the station's own recommenders."""
        weights = self.weights()
        recommenders: Sequence[Recommender] = (self.learned, self.catalogue)
        lists = []
        with self._ranking_lock:
            for recommender in recommenders:
                try:
                    picks = recommender.rank(query, max(limit * _RANKED_PER_SHOWN, MAX_CANDIDATES))
                except RecommenderError as error:
                    logger.warning("%s can't answer: %s", recommender.name, error)
                    warnings.append(f"{recommender.name}: {error}")
                else:
                    lists.append(RankedList(recommender.name, picks, weights[recommender.name]))
        return lists

    def _complete(
        self, pending: _Pending, llm_answer: LlmAnswer, *, remember: bool
    ) -> Recommendation:
        perceived = pending.perceived.with_llm_reading(llm_answer.mood, llm_answer.tone)
        if perceived is not pending.perceived:
            # Rank again with the mood that only the LLM read.
            context = {**pending.query.context, **perceived.as_context()}
            query = replace(pending.query, context=context)
            lists = self._ranked(query, pending.request.limit, [])
            pending = replace(pending, perceived=perceived, query=query, lists=lists)
        llm_answer = replace(
            llm_answer, picks=self._admissible_llm_picks(llm_answer.picks, pending.query)
        )
        llm_list = RankedList(LLM, llm_answer.picks, self._weights[LLM])
        fused = pending.fused([llm_list, *pending.lists])
        if not fused:
            raise RecommenderError("; ".join(("no film to recommend", *pending.warnings)))
        picks = self._picks_json(pending, fused)
        answer_id = self._store(pending, llm_answer, picks) if remember else None
        return Recommendation(
            id=answer_id,
            movies=[pick["title"] for pick in picks],
            primary_llm=[pick.title for pick in llm_answer.picks],
            picks=picks,
            perceived=perceived,
            llm=llm_answer,
            warnings=pending.warnings,
        )

    def _admissible_llm_picks(self, picks: Sequence[Pick], query: Query) -> list[Pick]:
        """Return the LLM's films that may be shown, each with title and year of the known film."""
        if not picks:
            return []
        found: Sequence[KnownFilm | None]
        try:
            with self._database.read() as session:
                found = [films.look_up(session, pick.title, pick.year) for pick in picks]
        except DatabaseUnavailableError as error:
            logger.warning("films of the LLM are looked up among the shipped ones: %s", error)
            found = [pick.shipped_film for pick in picks]
        identified = map(Pick.identified_as, picks, found)
        kept = (pick for pick in identified if pick.known or self._keep_unknown)
        return list(admissible(kept, query))

    def _picks_json(self, pending: _Pending, fused: Sequence[FusedPick]) -> list[dict[str, Any]]:
        """Return the films as JSON, each with its reason."""
        known, choices = self._known_and_chosen([film.pick for film in fused])
        reasons = Reasons(pending.query, pending.request.language or "en")
        picks_json = []
        for fused_pick in fused:
            key, sources = fused_pick.pick.key, fused_pick.sources
            film = known.get(key)
            shipped_film = film if isinstance(film, ShippedFilm) else None
            llm_reason = fused_pick.whys.get(LLM, "")
            picks_json.append(
                {
                    "title": film.title if film else fused_pick.pick.title,
                    "year": film.year if film else fused_pick.pick.year,
                    # The catalogue's films are known even if the table can't be read.
                    "known": film is not None or CATALOGUE in sources,
                    "explore": fused_pick.explore,
                    "score": round(fused_pick.score, 4),
                    "sources": dict(sources),
                    "why": reasons.why(sources, shipped_film, choices.get(key, {}), llm_reason),
                    "genres": list(shipped_film.genres) if shipped_film else [],
                    "runtime": shipped_film.runtime if shipped_film else None,
                    "original_title": shipped_film.original_title if shipped_film else "",
                }
            )
        return picks_json

    def _known_and_chosen(
        self, picks: Sequence[Pick]
    ) -> tuple[dict[str, KnownFilm], Mapping[str, Mapping[str, int]]]:
        """Return the known films by key, and how often each was chosen in which context."""
        keys = [pick.key for pick in picks]
        known: dict[str, KnownFilm] = {
            pick.key: film for pick in picks if (film := pick.shipped_film)
        }
        try:
            with self._database.read() as session:
                if others := set(keys) - known.keys():
                    known |= films.of_keys(session, others)
                return known, self._choice_counts.of(session, keys)
        except DatabaseUnavailableError as error:
            logger.warning("answering without facts: %s", error)
            return known, {}

    def _store(
        self, pending: _Pending, llm_answer: LlmAnswer, picks: list[dict[str, Any]]
    ) -> str | None:
        """Store an answer and return its id, or ``None`` if that failed."""
        answer = StoredAnswer(
            id=self._new_id(),
            answered_at=pending.now,
            context=pending.query.context,
            mood_source=pending.perceived.mood.source,
            tone_source=pending.perceived.tone.source,
            llm_status=llm_answer.status,
            llm_numbers=llm_answer.numbers.as_json(),
            seconds=self._clock() - pending.started,
            corrects=pending.request.corrects,
            picks=[
                StoredPick(titles.film_key(title, year), title, year, pick["sources"])
                for pick in picks
                for title, year in [(pick["title"], pick["year"])]
            ],
        )
        try:
            self._database.writer.submit(partial(answers.record, answer=answer))
        except DatabaseUnavailableError as error:
            logger.warning("an answer was not stored: %s", error)
            pending.warnings.append(f"this answer was not stored: {error}")
            return None
        return answer.id
