"""A real gunicorn process over loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from moodflix.config import variable

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0


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
    """gunicorn as `make run` starts it; `url` is where it answers, `log` what it printed."""

    def __init__(
        self,
        settings: Mapping[str, object],
        log: Path,
        *,
        preexec: Callable[[], None] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = log
        given = {"host": "127.0.0.1", "port": self.port} | dict(settings)
        env = os.environ | {variable(name): str(value) for name, value in given.items()}
        env["PYTHONWARNINGS"] = "error"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn"],
                cwd=ROOT,
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=preexec,  # noqa: PLW1509 - only root's tests use it
            )
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

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
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in (self.process.pid, *map(int, children.split())):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)
