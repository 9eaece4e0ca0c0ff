"""The station over loopback: in this process, or as a real gunicorn."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any

import httpx
from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from moodflix import create_app
from moodflix.config import Settings, variable
from moodflix.learning.training import Trainer
from moodflix.web.exchange import logging_config

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0
# Loading the system's certificates for each client takes longer than most requests.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_condition(holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"waited {patience} s in vain: {what}"
        time.sleep(0.02)


class Served:
    """A station that answers over loopback at `url`; `log` is what it printed."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = log
        self.http = self.connect()

    def connect(self) -> httpx.Client:
        """Return a client with connections of its own."""
        return httpx.Client(
            base_url=self.url, timeout=PATIENCE, trust_env=False, verify=_NO_CERTIFICATES
        )

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        """The process to look for media workers below."""
        return os.getpid()

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def stop(self) -> None:
        self.http.close()


class _Handler(WSGIRequestHandler):
    # Streams come in chunks, as from gunicorn.
    protocol_version = "HTTP/1.1"
    server: _Server

    def run_wsgi(self) -> None:
        with self.server.answering(self):
            super().run_wsgi()

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """The station logs its requests itself."""


class _Server(ThreadedWSGIServer):
    def __init__(self, host: str, port: int, app: Flask) -> None:
        self._in_flight: set[_Handler] = set()
        super().__init__(host, port, app, _Handler)

    @contextmanager
    def answering(self, request: _Handler) -> Iterator[None]:
        self._in_flight.add(request)
        try:
            yield
        finally:
            self._in_flight.discard(request)

    def is_idle(self) -> bool:
        return not self._in_flight

    def die(self) -> None:
        """Answer nobody any more and hang up in the middle of what is being answered."""
        self.shutdown()
        self.socket.close()
        for request in tuple(self._in_flight):
            request.hang_up()


class ThreadedServer(Served):
    """An app in this process, each request in a thread of its own; logs as `make run` does."""

    def __init__(self, settings: Mapping[str, object], log: Path) -> None:
        chosen = Settings.model_validate({"host": "127.0.0.1", **settings})
        self._app = create_app(chosen)
        self._server = _Server(chosen.host, 0, self._app)
        super().__init__(self._server.port, log)
        config = logging_config(chosen)
        self._handler = logging.FileHandler(log, encoding="utf-8")
        self._handler.setFormatter(
            DictConfigurator(config).configure_formatter(config["formatters"]["line"])
        )
        self._logger = logging.getLogger("moodflix")
        self._level = self._logger.level
        self._logger.addHandler(self._handler)
        self._logger.setLevel(logging.INFO)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self._stopped = False
        self._trainer.refresh()

    @property
    def _trainer(self) -> Trainer:
        trainer: Trainer = self._app.extensions["moodflix.trainer"]
        return trainer

    def die(self) -> None:
        """Look to clients as if the process had been killed; stop it nevertheless."""
        self._server.die()

    def stop(self) -> None:
        """Answer what is in flight, and stop."""
        super().stop()
        if self._stopped:
            return
        self._stopped = True
        self._server.shutdown()
        self._thread.join()
        await_condition(self._server.is_idle, "the last answer")
        self._server.server_close()
        self._trainer.close()
        for thread in threading.enumerate():
            if thread.name == "trainer":
                thread.join()
        self._app.extensions["moodflix.db"].close()
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)
        self._handler.close()


class GunicornServer(Served):
    """gunicorn as `make run` starts it, where the process is the point."""

    def __init__(self, settings: Mapping[str, object], log: Path) -> None:
        chosen = {"host": "127.0.0.1", "port": free_port()} | dict(settings)
        super().__init__(int(str(chosen["port"])), log)
        env = os.environ | {variable(name): str(value) for name, value in chosen.items()}
        env["PYTHONWARNINGS"] = "error"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn"],
                cwd=ROOT,
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """The workers."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(each) for each in text.split()]

    def wait_until_alive(self) -> None:
        await_condition(self._answers, f"the server to answer; it printed:\n{self.log}")

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"the server ended:\n{self.log}"
        try:
            return self.get("/healthz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def wait_until_ended(self) -> int:
        """Return the exit status once the server ended by itself."""
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End arbiter and workers at once, as a power cut would."""
        for pid in (self.process.pid, *self.children()):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        super().stop()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1; return its file and that of its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    subject = ["-subj", "/CN=station", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", *request, *subject, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return cert, key


Serve = Callable[..., ThreadedServer]
ServeGunicorn = Callable[..., GunicornServer]
