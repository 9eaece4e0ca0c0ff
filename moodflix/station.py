"""The use case: perceive, rank, fuse, remember. The only place that degrades."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from moodflix import clock, vocabulary
from moodflix.config import Settings
from moodflix.errors import DatabaseUnavailableError, RecommenderError
from moodflix.films import shipped, titles
from moodflix.films.shipped import ShippedFilm
from moodflix.perception.merge import Perceived, perceive
from moodflix.perception.understanding import Understanding, understand
from moodflix.recommend import fusion
from moodflix.recommend.catalogue.ranker import Catalogue
from moodflix.recommend.catalogue.reasons import Reasons
from moodflix.recommend.fusion import Fused, RankedList, evidence_weight, fuse, with_exploration
from moodflix.recommend.learned.model import LearnedRecommender
from moodflix.recommend.llm.answer import LlmAnswer, Named, Queued, answer_of
from moodflix.recommend.llm.prompt import MAX_CANDIDATES
from moodflix.recommend.llm.recommender import LlmEvents, NoLlm, OllamaRecommender
from moodflix.recommend.query import Pick, Query, Recommender, admissible
from moodflix.recommendation import HEARTBEAT, Event, Recommendation
from moodflix.requests import CONTEXT, Environment, InferenceRequest, LogRequest
from moodflix.store import answers, feedback, films, logs
from moodflix.store.database import Database
from moodflix.store.models import Film
from moodflix.vocabulary import CATALOGUE, LEARNED, LLM

logger = logging.getLogger(__name__)
# Lists longer than what is shown let films that several recommenders rank low still meet.
_DEPTH = 3
# The newest answers that weights are learned from.
_LEARNED_FROM = 2_000


@dataclass
class _Request:
    """One request on its way: what is known before the LLM is asked."""

    request: InferenceRequest
    env: Environment
    now: datetime
    perceived: Perceived
    query: Query
    own: list[RankedList]
    warnings: list[str]
    started: float


class Station:
    """Answers what to watch and remembers what was chosen."""

    def __init__(  # noqa: PLR0913 - what a station is made of
        self,
        database: Database,
        catalogue: Catalogue,
        context: LearnedRecommender,
        llm: OllamaRecommender | NoLlm,
        settings: Settings,
        *,
        perceive: Callable[[InferenceRequest, Understanding], Perceived] = perceive,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Join the recommenders; the settings say what an LLM may do that fails or invents.

        A simulation has a perception, a clock and ids of its own.
        """
        self._perceive, self._clock, self._new_id = perceive, clock, new_id
        self._database = database
        self.catalogue = catalogue
        self.context = context
        self.llm = llm
        self._keep_unknown = settings.unknown_films == "keep"
        self._repeat_after = timedelta(days=settings.repeat_days)
        self._learned: Mapping[str, float] = fusion.PRIORS
        self._occasions = logs.ChoiceCounts()
        # Under one GIL many at once are no faster, and logs would wait for all of them.
        self.ranking_lock = threading.RLock()

    def refit_weights(self) -> None:
        """Learn what each recommender's word counts, from what was chosen among what was shown.

        Raises:
            DatabaseUnavailableError: the answers can't be read.
        """
        with self._database.read() as session:
            shown = answers.choice_sets(session, _LEARNED_FROM)
        self._learned = fusion.learn([fusion.ChoiceSet(*each) for each in shown])

    def weights(self) -> dict[str, float]:
        """Return what each recommender's word counts now."""
        # One look: the trainer may swap the model meanwhile.
        evidence = evidence_weight(self.context.model.rows)
        return {**self._learned, LEARNED: evidence * self._learned[LEARNED]}

    def answer(
        self, request: InferenceRequest, now: datetime, *, remember: bool = True
    ) -> Recommendation:
        """Recommend films for one evening, and store the answer unless told not to.

        Raises:
            LlmError: the LLM failed and is required.
            RecommenderError: not one recommender could answer.
        """
        asking = self._begin(request, now)
        return self._finish(asking, answer_of(self._ask(asking)), remember=remember)

    def stream(self, request: InferenceRequest, now: datetime) -> Iterator[Event]:
        """Recommend films for one evening, piece by piece.

        Yields ``perceived``, ``picks`` (the station's own), ``queue`` and ``pick`` as the LLM goes
        on, and at last ``answer`` or ``error``; between them a heartbeat each second. The LLM is
        left alone as soon as the iterator is closed.
        """
        asking = self._begin(request, now)
        yield Event("perceived", asking.perceived.as_json())
        try:
            fused = self._fused(asking.own, request, asking.query)
            yield Event("picks", {"picks": self._described(fused, request, asking.query)})
            yield from self._answer(asking)
        except Exception as error:  # noqa: BLE001 - the headers are gone; it is the last event
            yield Event("error", error)

    def _ask(self, asking: _Request) -> LlmEvents:
        def candidates() -> list[Pick]:
            return [each.pick for each in fuse(asking.own, MAX_CANDIDATES)]

        return self.llm.ask(asking.query, asking.request.limit, candidates)

    def _answer(self, asking: _Request) -> Iterator[Event]:
        shown: set[str] = set()
        with closing(self._ask(asking)) as events:
            for event in events:
                if isinstance(event, LlmAnswer):
                    yield Event("answer", self._finish(asking, event))
                elif isinstance(event, Named):
                    yield from self._new_picks(event.pick, asking.query, shown)
                elif isinstance(event, Queued):
                    yield Event("queue", {"position": event.position})
                else:
                    yield HEARTBEAT

    def _new_picks(self, named: Pick, query: Query, shown: set[str]) -> Iterator[Event]:
        for film in self._checked([named], query):
            # Two spellings may turn out to be one film.
            if film.key not in shown:
                shown.add(film.key)
                known = {"title": film.title, "year": film.year, "known": film.known}
                yield Event("pick", {**known, "why": film.why})

    def _begin(self, request: InferenceRequest, now: datetime) -> _Request:
        started = self._clock()
        words = understand(request.text, request.mood)
        perceived = self._perceive(request, words)
        env, warnings = Environment.lenient(request.environment)
        taste = self._taste(request, now, warnings)
        local = clock.local(now, self._database.zone)
        query = _query(request, words, env, perceived, local)
        excluded = taste.excluded.union(query.excluded, self._held_back(now, warnings))
        query = replace(query, loved=taste.loved, excluded=excluded)
        with self.ranking_lock:
            own = self._own(query, request.limit, warnings)
        return _Request(request, env, now, perceived, query, own, warnings, started)

    def _revised(self, asking: _Request, perceived: Perceived) -> tuple[Query, list[RankedList]]:
        """Return the query with what was perceived since, and the station's own lists for it."""
        query = replace(asking.query, context=_context(asking.env, perceived))
        same = query == asking.query
        return query, asking.own if same else self._own(query, asking.request.limit, [])

    def _held_back(self, now: datetime, warnings: list[str]) -> frozenset[str]:
        if not self._repeat_after:
            return frozenset()
        try:
            with self._database.read() as session:
                return logs.chosen_since(session, now - self._repeat_after)
        except DatabaseUnavailableError as error:
            warnings.append(f"films chosen lately are not held back: {error}")
            return frozenset()

    def _taste(
        self, request: InferenceRequest, now: datetime, warnings: list[str]
    ) -> feedback.Taste:
        if request.visitor is not None:
            try:
                with self._database.read() as session:
                    return feedback.taste(session, request.visitor, now)
            except DatabaseUnavailableError as error:
                warnings.append(f"what this visitor said of films is not known: {error}")
        return feedback.Taste()

    def _finish(
        self, asking: _Request, asked: LlmAnswer, *, remember: bool = True
    ) -> Recommendation:
        perceived = asking.perceived.or_read_by_llm(asked.mood, asked.tone)
        with self.ranking_lock:
            query, own = self._revised(asking, perceived)
            asked = replace(asked, picks=self._checked(asked.picks, query))
            lists = [RankedList(LLM, asked.picks, self._learned[LLM]), *own]
            fused = self._fused(lists, asking.request, query)
            if not fused:
                problems = ("no film to recommend", *asking.warnings)
                raise RecommenderError("; ".join(problems))
            picks = self._described(fused, asking.request, query)
        answer = {
            "id": self._new_id(),
            "answered_at": asking.now,
            "context": dict(query.context),
            "mood_source": perceived.mood.source,
            "tone_source": perceived.tone.source,
            "llm_status": asked.status,
            "llm_numbers": asked.numbers.as_json(),
            "seconds": self._clock() - asking.started,
            "corrects": asking.request.corrects,
        }
        return Recommendation(
            id=self._remember(answer, picks, asking.warnings) if remember else None,
            movies=[pick["title"] for pick in picks],
            primary_llm=[pick.title for pick in asked.picks],
            picks=picks,
            perceived=perceived,
            llm=asked,
            warnings=asking.warnings,
        )

    def _checked(self, picks: Sequence[Pick], query: Query) -> list[Pick]:
        """Return the LLM's films under the titles and years the station knows them by."""
        if not picks:
            return []
        try:
            with self._database.read() as session:
                checked = [films.identified(session, pick) for pick in picks]
        except DatabaseUnavailableError as error:
            logger.warning("films of the LLM are not looked up: %s", error)
            return list(picks)
        kept = (pick for pick in checked if pick.known or self._keep_unknown)
        return list(admissible(kept, query))

    def _own(self, query: Query, limit: int, warnings: list[str]) -> list[RankedList]:
        weights = self.weights()
        recommenders: Sequence[Recommender] = (self.context, self.catalogue)
        lists = []
        for recommender in recommenders:
            try:
                with self.ranking_lock:
                    picks = recommender.rank(query, max(limit * _DEPTH, MAX_CANDIDATES))
            except RecommenderError as error:
                logger.warning("%s can't answer: %s", recommender.name, error)
                warnings.append(f"{recommender.name}: {error}")
            else:
                lists.append(RankedList(recommender.name, picks, weights[recommender.name]))
        return lists

    def _fused(
        self, lists: Sequence[RankedList], request: InferenceRequest, query: Query
    ) -> list[Fused]:
        return with_exploration(fuse(lists, request.limit * _DEPTH), request.limit, query)

    def _described(
        self, fused: Sequence[Fused], request: InferenceRequest, query: Query
    ) -> list[dict[str, Any]]:
        with self.ranking_lock:
            told = Reasons(query, request.language or "en")
            known, chosen = self._facts(fused)
            return [
                _described(each, known.get(each.pick.key), chosen.get(each.pick.key, {}), told)
                for each in fused
            ]

    def _facts(
        self, fused: Sequence[Fused]
    ) -> tuple[dict[str, ShippedFilm | Film], Mapping[str, Mapping[str, int]]]:
        """Return what is known of the films, and how often they were chosen in what."""
        keys = {each.pick.key: each.pick.year for each in fused}
        found = {each.pick.key: shipped.find(each.pick.title, each.pick.year) for each in fused}
        # Shown under a further name, a film would stand there twice.
        known: dict[str, ShippedFilm | Film] = {
            key: film for key, film in found.items() if film and film.key == key
        }
        try:
            with self._database.read() as session:
                if others := keys.keys() - known:
                    for key, same in films.known(session, others).items():
                        if film := films.meant(same, keys[key]):
                            known[key] = shipped.find(film.title, film.year) or film
                return known, self._occasions.of(session, keys)
        except DatabaseUnavailableError as error:
            logger.warning("answering without facts: %s", error)
            return known, {}

    def _remember(
        self, answer: dict[str, Any], picks: list[dict[str, Any]], warnings: list[str]
    ) -> str | None:
        rows = [
            {"film_key": titles.key(pick["title"])}
            | {name: pick[name] for name in ("title", "year", "sources")}
            for pick in picks
        ]
        try:
            self._database.deferred.submit(lambda session: answers.record(session, answer, rows))
        except DatabaseUnavailableError as error:
            logger.warning("an answer was not stored: %s", error)
            warnings.append(f"this answer was not stored: {error}")
            return None
        return str(answer["id"])


def _described(
    each: Fused, film: ShippedFilm | Film | None, chosen: Mapping[str, int], told: Reasons
) -> dict[str, Any]:
    traits = film if isinstance(film, ShippedFilm) else None
    return {
        "title": film.title if film else each.pick.title,
        "year": film.year if film else each.pick.year,
        # The catalogue ranks what ships, even while the table can't be read.
        "known": film is not None or CATALOGUE in each.sources,
        "explore": each.explore,
        "score": round(each.score, 4),
        "sources": dict(each.sources),
        "why": told.why(each.sources, traits, chosen, each.whys.get(LLM, "")),
        "genres": list(traits.genres) if traits else [],
        "runtime": traits.runtime if traits else None,
        "original_title": traits.original_title if traits else "",
    }


def log_choice(session: Session, request: LogRequest, now: datetime) -> None:
    """Add a choice to the log, linked to the answer it came from."""
    row = request.row()
    key = titles.key(row.movie_title)
    logs.add(session, row, now, answers.answer_of_choice(session, key, now, request.inference_id))


def _context(env: Environment, perceived: Perceived) -> dict[str, str]:
    spoken = {"mood": perceived.mood, "tone": perceived.tone}
    context = {}
    for name in CONTEXT:
        if name in spoken:
            judged = spoken[name]
            # A neutral that nobody said is not known.
            context[name] = "" if judged.source == vocabulary.NONE else judged.label
        else:
            value = getattr(env, name)
            context[name] = "" if value is None else str(value)
    return context


def _query(
    request: InferenceRequest,
    words: Understanding,
    env: Environment,
    perceived: Perceived,
    now: datetime,
) -> Query:
    named = (*request.movies, *request.exclude)
    return Query(
        context=_context(env, perceived),
        hour=now.hour,
        words=words,
        liked=tuple(request.movies),
        excluded=frozenset().union(*map(shipped.spellings, named)),
        intent=request.intent,
        max_minutes=request.max_minutes,
        family=request.family,
        seed=request.seed,
        date=now.date().isoformat(),
    )
