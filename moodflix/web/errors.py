"""The error handlers: every exception becomes a JSON response here."""

from __future__ import annotations

import dataclasses
import logging

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from moodflix.errors import (
    DatabaseBusyError,
    DatabaseUnavailableError,
    InvalidInputError,
    LlmBusyError,
    LlmError,
    RecommenderError,
)
from moodflix.web.exchange import reply_error

logger = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Answer every error of the app as JSON."""
    app.register_error_handler(InvalidInputError, _invalid)
    app.register_error_handler(LlmBusyError, _busy)
    app.register_error_handler(LlmError, _llm)
    app.register_error_handler(RecommenderError, _recommender)
    app.register_error_handler(DatabaseUnavailableError, _database)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _invalid(error: InvalidInputError) -> Response:
    if not error.problems:
        return reply_error(str(error), 400)
    details = [dataclasses.asdict(problem) for problem in error.problems]
    return reply_error(str(error), 400, details=details)


def _busy(error: LlmBusyError) -> Response:
    response = reply_error(f"Ollama failed: {error}", 503)
    response.headers["Retry-After"] = str(error.retry_after)
    return response


def _llm(error: LlmError) -> Response:
    return reply_error(f"Ollama failed: {error}", 500)


def _recommender(error: RecommenderError) -> Response:
    return reply_error(f"Recommendation failed: {error}", 500)


def _database(error: DatabaseUnavailableError) -> Response:
    # The cause has paths and SQL in it: it is logged, not sent.
    logger.error("request %s: %s (%s)", g.get("request_id"), error, error.__cause__)
    response = reply_error(f"Database failed: {error}", 500)
    if isinstance(error, DatabaseBusyError):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http(error: HTTPException) -> Response:
    if isinstance(error, NotFound) or (
        isinstance(error, MethodNotAllowed) and request.method in ("GET", "HEAD")
    ):
        return reply_error("Unknown endpoint", 404)
    response = reply_error(error.name, error.code or 500)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(error: Exception) -> Response:
    logger.error("request %s failed", g.get("request_id"), exc_info=error)
    return reply_error("Internal server error", 500, id=g.get("request_id"))
