"""A loopback server that speaks Ollama's API to the official client, and misbehaves on request."""

from __future__ import annotations

import fcntl
import itertools
import json
import socket
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Behaviour = Callable[["Handler"], None]
FILMS = (
    {"title": "Paterson", "year": 2016, "why": "Quiet days, kindly watched."},
    {"title": "Mother", "year": 2009, "why": "A mother who will not give up."},
    {"title": "Parasite", "year": 2019, "why": "Sharp and surprising."},
)


def answer(
    films: Iterable[dict[str, Any]] = FILMS, mood: str = "sad", tone: str = "subdued"
) -> str:
    """The JSON text of a good answer."""
    return json.dumps({"mood": mood, "tone": tone, "films": list(films)})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    # What is open at the end must not hold the test up.
    timeout = 30
    body: dict[str, Any]

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path in self.server.fake.paths:
            self.server.fake.paths[self.path](self)
            return
        if self.path != "/api/chat":
            self.send_json(self.server.fake.shown_status, self.server.fake.shown)
            return
        with self.server.fake.lock:
            self.server.fake.requests.append(self.body)
            queue = self.server.fake.behaviours
            behave = queue.popleft() if queue else self.server.fake.default
        behave(self)

    def do_GET(self) -> None:
        self.body = {}
        self.server.fake.paths.get(self.path, replies(404, {"error": "not found"}))(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        del format, args

    def send_json(self, status: int, payload: object) -> None:
        data = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def say(self, content: str | None, **more: object) -> None:
        """Send one line of a streamed chat."""
        line = {
            "model": self.body.get("model"),
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": content},
            "done": False,
        } | more
        self.chunk(json.dumps(line).encode() + b"\n")

    def say_done(self, reason: str = "stop") -> None:
        self.say("", done=True, done_reason=reason, eval_count=50, eval_duration=10**9)
        self.end_stream()

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def reset(self) -> None:
        """Break the connection the hard way, once all that was said has arrived."""
        self.close_connection = True
        while any(fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4))):
            time.sleep(0.001)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()

    def wait_for_release(self) -> None:
        """Hold the connection until the test lets go or ends."""
        if not self.server.fake.released.wait(self.timeout) and self._is_connected():
            self.server.fake.outwaited.append(self.path)

    def _is_connected(self) -> bool:
        try:
            heard: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return heard != b""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeOllama

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


class FakeOllama:
    """Queue behaviours with `then`; each chat call uses one, further calls the default."""

    #: How long the words of a good answer are split.
    PIECE: ClassVar[int] = 7

    def __init__(self) -> None:
        self.behaviours: deque[Behaviour] = deque()
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()
        #: Calls that hung for as long as they could, with the client still waiting.
        self.outwaited: list[str] = []
        self.lock = threading.Lock()
        self.default: Behaviour = says(answer())
        self.shown: object = {"details": {}, "model_info": {}}
        self.shown_status = 200
        #: What paths other than chat and show answer.
        self.paths: dict[str, Behaviour] = {
            "/api/version": replies(200, {"version": "0.33.0"}),
            "/api/tags": replies(200, {"models": []}),
            "/api/ps": replies(200, {"models": []}),
        }
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.fake = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> FakeOllama:  # noqa: PYI034 - Self is newer than 3.10
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def then(self, *behaviours: Behaviour) -> None:
        self.behaviours.extend(behaviours)

    def assert_all_used(self) -> None:
        assert not self.behaviours, f"{len(self.behaviours)} queued behaviours were never asked for"
        assert self.outwaited == []


def says(text: str, reason: str = "stop") -> Behaviour:
    """Stream `text` in small pieces and finish."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        for start in range(0, len(text), FakeOllama.PIECE):
            handler.say(text[start : start + FakeOllama.PIECE])
        handler.say_done(reason)

    return behave


def replies(status: int, payload: object = None, **headers: str) -> Behaviour:
    """Answer with a status and JSON, and no stream."""

    def behave(handler: Handler) -> None:
        data = json.dumps(payload).encode() if payload else b""
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return behave


def begins(text: str, then: Behaviour) -> Behaviour:
    """Stream `text` as the beginning of an answer, then do something else."""

    def behave(handler: Handler) -> None:
        handler.begin_stream()
        for start in range(0, len(text), FakeOllama.PIECE):
            handler.say(text[start : start + FakeOllama.PIECE])
        then(handler)

    return behave


def resets(handler: Handler) -> None:
    handler.reset()


def hangs(handler: Handler) -> None:
    handler.wait_for_release()


def ends_undone(handler: Handler) -> None:
    """End the stream as if all were well, though no line said `done`."""
    handler.end_stream()


def closes_early(handler: Handler) -> None:
    """Close the connection in the middle of the stream, politely."""
    handler.close_connection = True


def errs(handler: Handler) -> None:
    """Send the line that Ollama sends when its runner dies."""
    handler.chunk(b'{"error":"llama runner at 127.0.0.1:41234 died: /usr/lib/ollama"}\n')
    handler.end_stream()


def sends(line: bytes) -> Behaviour:
    """Send raw bytes in the stream, then finish well."""

    def behave(handler: Handler) -> None:
        handler.chunk(line)
        handler.say_done()

    return behave


def thinks(handler: Handler) -> None:
    """Spend the whole budget on thoughts."""
    for _ in range(5):
        handler.say("", message={"role": "assistant", "content": "", "thinking": "Well... "})
    handler.say_done("length")


def says_none(handler: Handler) -> None:
    handler.say(None)
    handler.say_done()


def repeats(token: str) -> Behaviour:
    """Say one token until the client hangs up."""

    def behave(handler: Handler) -> None:
        while not handler.server.fake.released.is_set():
            handler.say(token)

    return behave


def dribbles(data: bytes) -> Behaviour:
    """Send bytes one at a time, never silent for long, until the client hangs up."""

    def behave(handler: Handler) -> None:
        for byte in itertools.cycle(data):
            if handler.server.fake.released.wait(0.05):
                return
            handler.chunk(bytes([byte]))

    return behave


def dribbles_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.fake.released.wait(0.05):
        handler.wfile.write(b"X-Wait: a moment\r\n")


def once_released(then: Behaviour) -> Behaviour:
    """Do nothing until the test lets go."""

    def behave(handler: Handler) -> None:
        handler.wait_for_release()
        then(handler)

    return behave
