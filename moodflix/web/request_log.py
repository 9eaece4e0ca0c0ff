"""One log line per request: id, route, status, seconds and the LLM's status. Never a body."""

from __future__ import annotations

import logging
import time
import uuid
from typing import Any

from flask import Flask, Response, g, request

from moodflix.config import Settings

logger = logging.getLogger("moodflix.request")


def init_app(app: Flask) -> None:
    """Log each request when it is answered, under an id that is sent as ``X-Request-ID``."""
    app.before_request(_begin)
    app.after_request(_end)


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


def _begin() -> None:
    g.request_id = uuid.uuid4().hex
    g.started = time.monotonic()
    g.outcome = {"llm": "-"}


def _end(response: Response) -> Response:
    known = {
        "id": g.request_id,
        "method": request.method,
        # The rule, not the path, which may hold anything that people type.
        "route": request.url_rule.rule if request.url_rule else "-",
        "status": response.status_code,
    }
    started, outcome = g.started, g.outcome

    def log() -> None:
        fields = known | {"seconds": round(time.monotonic() - started, 3)}
        noted = " ".join(f"{name}={value}" for name, value in outcome.items())
        logger.info(
            "%(id)s %(method)s %(route)s %(status)s %(seconds)ss %(noted)s",
            fields | {"noted": noted},
            extra=fields | outcome,
        )

    if response.is_streamed:
        response.call_on_close(log)
    else:
        log()
    response.headers["X-Request-ID"] = g.request_id
    return response
