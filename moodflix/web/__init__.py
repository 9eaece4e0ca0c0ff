"""The HTTP side: blueprints, envelopes, errors, the request log."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Flask, Response, request
from flask_cors import CORS

from moodflix.web import dashboard, errors, feedback, health, inference, logs, pages, request_log

_MAX_BODY = 16 * 1024 * 1024
_METHODS = ("GET", "POST", "OPTIONS")
_HEADERS = ("Content-Type", "Authorization")
# Any origin may read any answer but the pages, their data and what else belongs to them.
_SHARED = r"^/(?!$|static/|dashboard(?:/|$))"


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
    app.after_request(_allow)
    CORS(
        app,
        resources=_SHARED,
        origins="*",
        send_wildcard=True,
        methods=_METHODS,
        allow_headers=_HEADERS,
    )


def _allow(response: Response) -> Response:
    # flask-cors names methods and headers only to a browser's preflight; the old server named
    # them to every OPTIONS request.
    if request.method == "OPTIONS" and re.match(_SHARED, request.path):
        response.headers.setdefault("Access-Control-Allow-Methods", ", ".join(_METHODS))
        response.headers.setdefault("Access-Control-Allow-Headers", ", ".join(_HEADERS))
    return response
