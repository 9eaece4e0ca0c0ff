"""``POST /inference``: JSON or server-sent events; ``/inference/reading``: only the mood."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from itertools import chain
from typing import get_args

from flask import Blueprint, Response, current_app, request, stream_with_context

from moodflix.errors import LlmError
from moodflix.perception.merge import perceive
from moodflix.perception.wishes import understand
from moodflix.recommend.llm.answer import UNAVAILABLE
from moodflix.recommendation import HEARTBEAT, Event, Recommendation
from moodflix.requests import InferenceRequest, Language, read
from moodflix.station import Station
from moodflix.web import request_log
from moodflix.web.envelope import enveloped, read_payload, reply

blueprint = Blueprint("inference", __name__)
_MESSAGE_TYPE = "inference"
_READING = "inference-reading"
_EVENTS = "text/event-stream"


@blueprint.post("/inference")
def infer() -> Response:
    """Recommend films for an evening."""
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
        request_log.note(llm=UNAVAILABLE)
        raise
    _note(answer)
    return reply(answer.as_json(), _MESSAGE_TYPE)


@blueprint.post("/inference/reading")
def reading() -> Response:
    """Return what is perceived of a person; no films, no LLM, and nothing is stored."""
    query = read(InferenceRequest, read_payload(_READING, InferenceRequest))
    perceived = perceive(query, understand(query.text, query.mood))
    return reply({"perceived": perceived.as_json()}, _READING)


def _streamed(events: Iterator[Event]) -> Response:
    # An error before the first event is answered like any other.
    first = next(events)
    response = Response(stream_with_context(_lines(first, events)), mimetype=_EVENTS)
    response.headers["Cache-Control"] = "no-store"
    # Else nginx would buffer the events.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _lines(first: Event, events: Iterator[Event]) -> Iterator[str]:
    # Closed with the response, which stops the LLM when the client disconnects.
    with closing(events):  # type: ignore[type-var]  # it is a generator
        for event in chain([first], events):
            yield ":\n\n" if event is HEARTBEAT else _line(event)


def _line(event: Event) -> str:
    data = event.data
    if isinstance(data, Recommendation):
        _note(data)
        data = enveloped(data.as_json(), _MESSAGE_TYPE)
    elif isinstance(data, Exception):
        request_log.note(llm=UNAVAILABLE if isinstance(data, LlmError) else "-")
        failed = current_app.make_response(current_app.handle_user_exception(data))
        data = failed.get_json() | {"status": failed.status_code}
        # The headers are already sent.
        if "Retry-After" in failed.headers:
            data["retry_after"] = int(failed.headers["Retry-After"])
    return f"event: {event.name}\ndata: {current_app.json.dumps(data)}\n\n"


def _note(answer: Recommendation) -> None:
    request_log.note(llm=answer.llm.status, **answer.llm.numbers.as_json())
