"""The endpoints under ``/inference``: recommendations, readings, choices, feedback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from itertools import chain
from typing import Final, get_args

from flask import Blueprint, Response, current_app, request, stream_with_context

from moodflix.errors import InvalidInputError, LlmError
from moodflix.learning.training import Trainer
from moodflix.perception.merge import perceive
from moodflix.perception.wishes import understand
from moodflix.recommend.answer import HEARTBEAT, UNAVAILABLE, Event, Recommendation
from moodflix.requests import (
    COLUMNS,
    FeedbackRequest,
    InferenceRequest,
    Language,
    LogQuery,
    LogRequest,
    read,
)
from moodflix.station import Station
from moodflix.store import logs
from moodflix.store.database import current_database
from moodflix.store.statements import unchanged
from moodflix.web import exchange
from moodflix.web.exchange import answer_enveloped, enveloped, read_payload, reply

blueprint = Blueprint("inference", __name__)
_MESSAGE_TYPE = "inference"
_READING = "inference-reading"
_EVENTS = "text/event-stream"
# The title is sent twice: under the column's name, and under the name it is posted with.
_COLUMNS: Final = (*COLUMNS, "movieTitle")


@blueprint.post("/inference")
def infer() -> Response:
    """Recommend films, as one JSON object or as server-sent events."""
    station: Station = current_app.extensions["moodflix.station"]
    query = read(InferenceRequest, read_payload(_MESSAGE_TYPE, InferenceRequest))
    if query.language is None:
        preferred = request.accept_languages.best_match(get_args(Language), "en")
        query = query.model_copy(update={"language": preferred})
    now = datetime.now(timezone.utc)
    # "Accept: */*" gets the documented object.
    wanted = request.accept_mimetypes.best_match(["application/json", _EVENTS])
    if wanted == _EVENTS:
        return _streamed(station.stream(query, now))
    try:
        answer = station.answer(query, now)
    except LlmError:
        exchange.note(llm=UNAVAILABLE)
        raise
    _note(answer)
    return reply(answer.as_json(), _MESSAGE_TYPE)


@blueprint.post("/inference/reading")
def reading() -> Response:
    """Return what is perceived of a person; no films, no LLM, and nothing is stored."""
    query = read(InferenceRequest, read_payload(_READING, InferenceRequest))
    perceived = perceive(query, understand(query.text, query.mood))
    return reply({"perceived": perceived.as_json()}, _READING)


@blueprint.post("/inference/log")
def save_choice() -> Response:
    """Save a choice; the answer is sent once the row is on the disk."""
    body = read_payload("inference-log", LogRequest)
    title = body.get("movieTitle")
    if title is None or (isinstance(title, str) and not title.strip()):
        raise InvalidInputError("movieTitle is required")
    choice = read(LogRequest, body)
    now = datetime.now(timezone.utc)
    station: Station = current_app.extensions["moodflix.station"]
    year, key = choice.movie_year, exchange.idempotency_key()
    station.log_choice(choice.row(), choice.inference_id, now, year, key)
    trainer: Trainer = current_app.extensions["moodflix.trainer"]
    trainer.refresh()
    return reply({"status": "ok", "message": "log saved"}, "success")


@blueprint.get("/inference/log")
def recent_choices() -> Response:
    """List the newest choices, oldest of them first."""
    if current_app.extensions["moodflix.settings"].log_envelope:
        answer_enveloped()
    # As with the old server, a blank limit means the default.
    query = {name: value for name, value in request.args.items() if value.strip()}
    limit = read(LogQuery, query).limit
    with current_database().connection() as connection:

        def entries() -> list[dict[str, str]]:
            rows = logs.recent(connection, limit)
            return [dict(zip(_COLUMNS, (*row, row[-1]), strict=True)) for row in rows]

        # Pages ask for the default number; keeping longer lists too would fill the memory.
        is_default = limit == LogQuery().limit
        listed = unchanged(connection, "newest choices", entries) if is_default else entries()
    return reply(listed, "inference-log")


@blueprint.post("/inference/feedback")
def save_feedback() -> Response:
    """Save or delete a visitor's verdict; the answer is sent once that is on the disk."""
    verdict = read(FeedbackRequest, read_payload("inference-feedback", FeedbackRequest))
    now = datetime.now(timezone.utc)
    station: Station = current_app.extensions["moodflix.station"]
    station.save_feedback(verdict, now)
    return reply({"status": "ok", "message": "feedback saved"}, "success")


def _streamed(events: Iterator[Event]) -> Response:
    # Taken before the response begins, so that an error is answered with its own status.
    first = next(events)
    response = Response(stream_with_context(_lines(first, events)), mimetype=_EVENTS)
    response.headers["Cache-Control"] = "no-store"
    # Else nginx would buffer the events.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _lines(first: Event, events: Iterator[Event]) -> Iterator[str]:
    # Closing the events stops the LLM when the client disconnects.
    with closing(events):  # type: ignore[type-var]  # it is a generator
        for event in chain([first], events):
            yield ":\n\n" if event is HEARTBEAT else _line(event)


def _line(event: Event) -> str:
    data = event.data
    if isinstance(data, Recommendation):
        _note(data)
        data = enveloped(data.as_json(), _MESSAGE_TYPE)
    elif isinstance(data, Exception):
        exchange.note(llm=UNAVAILABLE if isinstance(data, LlmError) else "-")
        failed = current_app.make_response(current_app.handle_user_exception(data))
        data = failed.get_json() | {"status": failed.status_code}
        # The headers are already sent.
        if "Retry-After" in failed.headers:
            data["retry_after"] = int(failed.headers["Retry-After"])
    return f"event: {event.name}\ndata: {current_app.json.dumps(data)}\n\n"


def _note(answer: Recommendation) -> None:
    exchange.note(llm=answer.llm.status, **answer.llm.numbers.as_json())
