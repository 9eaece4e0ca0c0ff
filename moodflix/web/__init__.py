"""The HTTP side: blueprints, envelopes, errors, the request log."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Flask, Response, request

from moodflix.web import dashboard, errors, feedback, health, inference, logs, pages, request_log

_MAX_BODY = 16 * 1024 * 1024
# Any origin may read any answer but the pages, their data and what else belongs to them.
_SHARED = re.compile(r"/(?!$|static/|dashboard(?:/|$))")


def init_app(app: Flask) -> None:
    """Give the app its endpoints."""
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    # No redirect survives a preflight.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # true of Flask's own provider
    app.static_folder = str(Path(__file__).parent / "static")
    request_log.init_app(app)
    errors.init_app(app)
    for part in (inference, logs, feedback, health, pages, dashboard):
        app.register_blueprint(part.blueprint)
    app.after_request(_share)


def _share(response: Response) -> Response:
    """Allow any origin to call the endpoints (CORS)."""
    if _SHARED.match(request.path):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
    return response
