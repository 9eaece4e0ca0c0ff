"""The app as servers and commands load it, and gunicorn's settings and hooks.

Outside a checkout: ``flask --app moodflix.serving`` and ``gunicorn -c python:moodflix.serving``.
"""

from __future__ import annotations

import logging
import os
import signal
import ssl
import sys
import threading
import time
from multiprocessing import Value
from typing import Any, Final

from flask import Flask

import moodflix
from moodflix import address, instance
from moodflix.config import load, unknown_variables, variable
from moodflix.errors import ConfigError, DatabaseUnavailableError, RecommenderError, SchemaError
from moodflix.learning.training import Trainer

# `load` by name: gunicorn would read a module called `config` as a setting.
from moodflix.store import migration
from moodflix.store.database import COMMIT_SECONDS
from moodflix.web.exchange import logging_config

logger = logging.getLogger(__name__)
# Set before numpy is loaded: only one request is ranked at a time, so BLAS needs one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    _settings = load()
except ConfigError as error:
    sys.exit(f"moodflix: {error}")

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = f"{_host}:{_settings.port}"
certfile = str(_settings.tls_cert or "") or None
keyfile = str(_settings.tls_key or "") or None
workers = _settings.workers
threads = _settings.threads
worker_class = "moodflix.connections.Worker"
preload_app = True
# Long enough for the slowest answer to finish and be stored.
graceful_timeout = int(_settings.llm_timeout + COMMIT_SECONDS) + 10
keepalive = 5
logconfig_dict = logging_config(_settings)
# The control socket would start a thread in the process that forks.
control_socket_disable = True
wsgi_app = "moodflix.serving:create_app()"

_IDLE_CHECK_SECONDS: Final = 0.25
_SWITCH_SECONDS: Final = 0.0002
# When a request last began or ended in any worker (CLOCK_MONOTONIC is system-wide).
_last_request: Any = Value("d", time.monotonic(), lock=False)
_in_flight: set[int] = set()


def create_app() -> Flask:
    """Create the app; an invalid setting ends the process with one line."""
    try:
        return moodflix.create_app()
    except ConfigError as error:
        sys.exit(f"moodflix: {error}")


def on_starting(server: Any) -> None:
    """Exit with one line if the database isn't migrated, the certificate bad or the port taken."""
    for line in unknown_variables():
        logger.warning(line)
    app: Flask = server.app.wsgi()
    _lock_instance(app)
    database = app.extensions["moodflix.db"]
    try:
        migration.require_newest(database)
    except DatabaseUnavailableError as error:
        # It may come back, and films can be recommended without it.
        logger.warning("%s; starting all the same", error)
    except SchemaError as error:
        sys.exit(f"moodflix: {error}")
    finally:
        # Connections must not be shared across the fork.
        database.engine.dispose()
    _require_certificate()
    _require_free_port(server)


def post_worker_init(worker: Any) -> None:
    """Load the recommenders in the background, before the first request needs them."""
    # Saving a choice waits for the GIL several times, by default 5 ms each time:
    # benchmarks/switch_interval.py.
    sys.setswitchinterval(_SWITCH_SECONDS)
    app: Flask = worker.app.wsgi()
    threading.Thread(target=_warm, args=(app,), name="warm-up", daemon=True).start()
    if _settings.idle_timeout:
        threading.Thread(target=_stop_when_idle, name="idle", daemon=True).start()


def worker_exit(server: Any, worker: Any) -> None:
    """Close trainer and database of a worker that ends."""
    del server
    extensions = worker.app.wsgi().extensions
    extensions["moodflix.trainer"].close()
    extensions["moodflix.db"].close()


def pre_request(worker: Any, req: Any) -> None:
    """Record that a request has begun, for ``_stop_when_idle``."""
    del worker
    _in_flight.add(id(req))
    _last_request.value = time.monotonic()


def post_request(worker: Any, req: Any, environ: Any, resp: Any) -> None:
    """Record that a request has ended."""
    del worker, environ, resp
    _in_flight.discard(id(req))
    _last_request.value = time.monotonic()


def _lock_instance(app: Flask) -> None:
    """Show ``flask restore`` that a station runs, as long as one of its processes lives."""
    try:
        is_locked = instance.of(app).lock(alone=False) is not None
    except OSError as error:
        logger.warning("the instance folder can't be opened: %s", error.strerror)
        return
    if not is_locked:
        sys.exit("moodflix: a backup is being restored; start the station once that is done")


def _require_certificate() -> None:
    if not (certfile or keyfile):
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certfile or "", keyfile)
    except OSError as error:
        cert, key = variable("tls_cert"), variable("tls_key")
        sys.exit(f"moodflix: {cert} and {key} are no certificate with its key: {error}")


def _require_free_port(server: Any) -> None:
    if address.is_handed_over():
        return
    for listen_on in server.cfg.address:
        # A path is a Unix socket's.
        problem = address.problem(*listen_on) if isinstance(listen_on, tuple) else ""
        if problem:
            sys.exit(problem)


def _warm(app: Flask) -> None:
    station = app.extensions["moodflix.station"]
    try:
        station.catalogue.warm()
    except RecommenderError as error:
        logger.warning("%s", error)
    trainer: Trainer = app.extensions["moodflix.trainer"]
    threading.Thread(target=trainer.watch, name="trainer", daemon=True).start()
    # Last: loading a model may take minutes.
    problem = station.llm.warm()
    if problem:
        logger.warning("the LLM is not loaded: %s", problem)


def _stop_when_idle() -> None:
    while time.monotonic() - _last_request.value < _settings.idle_timeout:
        if _in_flight:
            _last_request.value = time.monotonic()
        time.sleep(_IDLE_CHECK_SECONDS)
    logger.info("No Request, exiting...")
    os.kill(os.getppid(), signal.SIGTERM)
