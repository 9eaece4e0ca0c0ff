"""What all requests share: strict JSON bodies, the MFNP envelope, CORS, one log line each.

A log line has id, route, status, seconds and the LLM's status, never a body.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any, Final

from flask import Flask, Response, g, request
from pydantic import BaseModel
from pydantic_core import to_json
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from moodflix import strict_json
from moodflix.config import Settings
from moodflix.errors import FieldProblem, InvalidInputError
from moodflix.requests import IDEMPOTENCY_KEY, MAX_KEY, Envelope, fields, read

logger = logging.getLogger("moodflix.request")
_PROTOCOL = "protocol"
# An id that a proxy made; anything else could forge lines of the log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(rf"[ -~]{{0,{MAX_KEY}}}")
#: Bytes of a body, not counting frames and clip.
MAX_FIELD_BYTES: Final = 64 * 1024
# Base64 or a data URL. A field that is no medium has a limit of its own, an unknown one is ignored.
_MEDIA = re.compile(rb'"(?:data:(?:\\.|[^"\\,\[\]{}]){0,200},)?[^",:\[\]{}]{512,}"')
# Paths that any origin may call: all but the pages, their data and their static files.
_CROSS_ORIGIN = re.compile(r"/(?!$|static/|dashboard(?:/|$))")


def init_app(app: Flask) -> None:
    """Log each request under its ``X-Request-ID``, or a new one; allow other origins."""
    app.before_request(_start_log_line)
    app.after_request(_log_request)
    app.after_request(_allow_cross_origin)


def read_payload(message_type: str, shape: type[BaseModel]) -> dict[str, Any]:
    """Return the payload of the request, taken out of its envelope if it came in one.

    Fields that ``shape`` doesn't have are not checked. The answer will be in an envelope if the
    request was.

    Raises:
        InvalidInputError: not JSON, or an envelope that doesn't fit.
        RequestEntityTooLarge: more than ``MAX_FIELD_BYTES`` bytes beside frames and clip.
        UnsupportedMediaType: the body is compressed.
    """
    body = strict_json.parse(_body(has_media="images" in shape.model_fields))
    if _PROTOCOL not in body:
        strict_json.check(body, fields(shape))
        return body
    answer_enveloped()
    strict_json.check(body, {**fields(Envelope), "payload": fields(shape)})
    envelope = read(Envelope, body)
    if envelope.message_type != message_type:
        raise InvalidInputError.of(FieldProblem("message_type", f"must be {message_type!r} here"))
    return envelope.payload


def _body(*, has_media: bool) -> bytes:
    """Return the body; its size is checked before anything looks at a value."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    if not has_media:
        request.max_content_length = MAX_FIELD_BYTES
    data = request.get_data(cache=False)
    # A chunked body over the limit is only truncated so far; reading on raises the 413.
    request.stream.read(1)
    media = sum(len(each[0]) for each in _MEDIA.finditer(data)) if has_media else 0
    if len(data) - media > MAX_FIELD_BYTES:
        raise RequestEntityTooLarge
    return data


def idempotency_key() -> str:
    """Return the key that a client sends again with the same choice; empty without one.

    Raises:
        InvalidInputError: it is too long, or not printable ASCII.
    """
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if not _KEY.fullmatch(key):
        problem = f"must be at most {MAX_KEY} printable ASCII characters"
        raise InvalidInputError.of(FieldProblem(IDEMPOTENCY_KEY, problem))
    return key


def answer_enveloped() -> None:
    """Answer this request in an envelope, errors too."""
    g.enveloped = True


def answer_in_kind() -> None:
    """Answer a request whose body was not read in the form it came in."""
    if b'"MFNP"' in request.get_data():
        answer_enveloped()


def enveloped(payload: object, message_type: str) -> object:
    """Return ``payload``, in an envelope if the request came in one."""
    if not g.get("enveloped", False):
        return payload
    return {
        _PROTOCOL: "MFNP",
        "version": 1.0,
        "sender": "server",
        "message_type": message_type,
        "payload": payload,
    }


def reply(payload: object, message_type: str, status: int = 200) -> Response:
    """Answer with ``payload``, in an envelope if the request came in one."""
    # pydantic's writer takes a fifth of the time of Flask's.
    body = to_json(enveloped(payload, message_type)) + b"\n"
    return Response(body, status, mimetype="application/json")


def reply_error(message: str, status: int, **more: object) -> Response:
    """Answer with an error: ``error`` when bare, ``reason`` in an envelope."""
    name = "reason" if g.get("enveloped", False) else "error"
    return reply({name: message, **more}, "error", status)


def logging_config(settings: Settings) -> dict[str, Any]:
    """Return the ``logging.config`` mapping of a server: readable lines, or JSON."""
    json = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
    }
    text = {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": json if settings.log_format == "json" else text},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            name: {"level": "INFO", "handlers": ["stderr"], "propagate": False}
            for name in ("moodflix", "gunicorn.error")
        },
    }


def note(**outcome: object) -> None:
    """Add ``name=value`` to the log line of this request."""
    g.outcome.update(outcome)


def _start_log_line() -> None:
    sent = request.headers.get("X-Request-ID", "")
    g.request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
    g.started = time.monotonic()
    g.outcome = {"llm": "-"}


def _log_request(response: Response) -> Response:
    facts = {
        "id": g.request_id,
        "method": request.method,
        # The rule, not the path, which may hold anything that people type.
        "route": request.url_rule.rule if request.url_rule else "-",
        "status": response.status_code,
    }
    started, outcome = g.started, g.outcome

    def log() -> None:
        extra = facts | {"seconds": round(time.monotonic() - started, 3)}
        noted = " ".join(f"{name}={value}" for name, value in outcome.items())
        logger.info(
            "%(id)s %(method)s %(route)s %(status)s %(seconds)ss %(noted)s",
            extra | {"noted": noted},
            extra=extra | outcome,
        )

    if response.is_streamed:
        response.call_on_close(log)
    else:
        log()
    response.headers["X-Request-ID"] = g.request_id
    return response


def _allow_cross_origin(response: Response) -> Response:
    """Allow any origin to call the endpoints (CORS)."""
    if _CROSS_ORIGIN.match(request.path):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = (
                f"Content-Type, Authorization, {IDEMPOTENCY_KEY}"
            )
    return response
