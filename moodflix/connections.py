"""A gunicorn worker that hands a request to a thread only once all of it has arrived.

gunicorn's own ``gthread`` worker reads requests in its threads, so that a client that sends
slowly, or nothing, occupies one. Here the main thread does TLS handshakes, collects requests and
waits for clients to close, never blocking: a slow client costs a file descriptor and the bytes it
sent.
"""

from __future__ import annotations

import errno
import json
import os
import re
import selectors
import socket
import ssl
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final

from gunicorn import http, sock
from gunicorn.workers.gthread import TConn, ThreadWorker

from moodflix.framing import MAX_BODY, Framing, State

# How long a request may take to arrive: longer by a second for each `_MIN_RATE` bytes received.
_SECONDS: Final = 10.0
_MIN_RATE: Final = 16 * 1024
_MAX_SECONDS: Final = 120.0
# How long one piece of an answer may take to send, and a client to close after the answer.
_SEND_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 2.0
# Unfinished requests of one address; a further one ends the oldest.
_MAX_UNFINISHED: Final = 256
# Bytes of all unfinished requests; past them the largest is refused.
_MAX_COLLECTED: Final = 8 * MAX_BODY
# Bytes read at a time, and how often before other clients get their turn.
_PIECE: Final = 64 * 1024
_PIECES: Final = 16
_NO_DESCRIPTOR: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXPECT: Final = re.compile(rb"\r\nexpect:[^\r\n]*", re.IGNORECASE)
_REFUSALS: Final = {
    State.BAD_CHUNK: (400, "Bad Request", "the body's chunks are malformed"),
    State.HEADER_TOO_LARGE: (431, "Request Header Fields Too Large", "the header is too large"),
}


class _Collected:
    """An empty source for gunicorn's parser, which is given each request whole instead."""

    def recv(self, size: int) -> bytes:
        """Return the end of the input."""
        del size
        return b""


class _Socket:
    """A socket that counts a client who stops reading as disconnected."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def sendall(self, data: bytes) -> None:
        """Send all of the data."""
        try:
            self.inner.sendall(data)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client stopped reading") from None

    def sendfile(self, *args: Any, **options: Any) -> int:
        """Send a file."""
        try:
            return self.inner.sendfile(*args, **options)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client stopped reading") from None


class Connection(TConn):
    """One client's connection, and what has arrived of its next request."""

    sock: Any
    parser: Any

    def __init__(self, cfg: Any, client_socket: socket.socket, client: Any, server: Any) -> None:
        """Start with a connection that was accepted."""
        wrapped: Any = _Socket(client_socket)
        super().__init__(cfg, wrapped, client, server)
        self.data_ready = True
        self.is_last = False
        self.is_handshake_done = not cfg.is_ssl
        self.address = client[0] if isinstance(client, tuple) and client else ""
        self.expect_request(b"")

    def expect_request(self, received: bytes) -> None:
        """Start on the next request, of which some bytes may have been received."""
        self.received = bytearray(received)
        self.framing = Framing()
        self.started = time.monotonic()

    def init(self) -> None:
        """Give the request to the parser, in the thread that will answer it."""
        self.sock.settimeout(_SEND_SECONDS)
        if self.parser is None:
            source: Any = _Collected()
            self.parser = http.get_parser(self.cfg, source, self.client)
        self.parser.unreader.unread(bytes(self.received))
        self.received.clear()

    def is_late(self, now: float) -> bool:
        """Whether the request has taken too long, or comes too slowly."""
        allowed = _SECONDS + len(self.received) / _MIN_RATE
        return now - self.started > min(allowed, _MAX_SECONDS)


class Worker(ThreadWorker):
    """The worker.

    Connections whose request is not complete are in ``_arriving``, those that are answered and wait
    for the client to close in ``_closing``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Set up without a connection."""
        super().__init__(*args, **options)
        # Oldest first.
        self._arriving: dict[Connection, None] = {}
        self._unfinished: Counter[str] = Counter()
        self._closing: dict[Connection, float] = {}
        self._tls: ssl.SSLContext | None = None
        # A descriptor that is given up to refuse a client when there are no others.
        self._spare = -1

    def init_process(self) -> None:
        """Load the certificate once, not for each connection."""
        if self.cfg.is_ssl:
            self._tls = sock.ssl_context(self.cfg)
        self._spare = os.open(os.devnull, os.O_RDONLY)
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and begin to collect its request."""
        try:
            client_socket, client = listener.accept()
        except OSError as error:
            if error.errno in _NO_DESCRIPTOR:
                self._refuse_unaccepted(listener)
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK}:
                raise
            return
        try:
            client_socket.setblocking(False)
            if self._tls:
                client_socket = self._tls.wrap_socket(
                    client_socket, server_side=True, do_handshake_on_connect=False
                )
            conn = Connection(self.cfg, client_socket, client, listener.getsockname())
        except OSError:
            client_socket.close()
            return
        self.nr_conns += 1
        self._collect(conn)

    def enqueue_req(self, conn: Any) -> None:
        """Collect the next request of a connection that was kept alive."""
        conn.sock.setblocking(False)
        # Bytes behind the last request no longer wake the poller.
        conn.expect_request(conn.parser.unreader.take_buffered())
        self._collect(conn)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep a connection for its next request, or end it."""
        if fs.cancelled() or fs.exception() or not fs.result() or conn.is_last:
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """End connections whose request is late, and those that clients don't close."""
        now = time.monotonic()
        for conn in [each for each in self._arriving if each.is_late(now)]:
            self._forget(conn)
            self._refuse(conn, 408, "Request Timeout", "the request took too long to arrive")
        if not self.alive:
            for conn in [each for each in self._arriving if not each.received]:
                self._drop(conn)
        for conn in [each for each, end in self._closing.items() if end < now]:
            self._end(conn)

    def _collect(self, conn: Connection) -> None:
        """Read what has arrived; let the poller wait for the rest."""
        state = self._read(conn)
        if state is not State.PARTIAL:
            self._proceed(conn, state)
            return
        self._make_room(conn)
        self._arriving[conn] = None
        self._unfinished[conn.address] += 1
        self.poller.register(
            conn.sock, selectors.EVENT_READ, partial(self._on_arriving_readable, conn)
        )

    def _on_arriving_readable(self, conn: Connection, _: object) -> None:
        state = self._read(conn)
        if state is not State.PARTIAL:
            self._forget(conn)
            self._proceed(conn, state)
        elif len(conn.received) > _PIECES * _PIECE:
            self._bound_memory()

    def _forget(self, conn: Connection) -> None:
        """Stop collecting the request of a connection."""
        del self._arriving[conn]
        self._unfinished -= Counter([conn.address])  # which drops counts of zero
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        """Close a connection whose request has not arrived."""
        self._forget(conn)
        self._close(conn)

    def _read(self, conn: Connection) -> State | None:
        """Read what has arrived; return what it is, or ``None`` if the client has gone."""
        try:
            if not conn.is_handshake_done:
                conn.sock.do_handshake()
                conn.is_handshake_done = True
            for _ in range(_PIECES):
                piece = conn.sock.recv(_PIECE)
                if not piece:
                    return None
                conn.received += piece
                state = conn.framing.state(conn.received)
                if state is not State.PARTIAL:
                    return state
                if conn.framing.awaits_continue:
                    self._ask_for_body(conn)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            return None
        return conn.framing.state(conn.received)

    @staticmethod
    def _ask_for_body(conn: Connection) -> None:
        conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Else gunicorn would ask again.
        conn.received = bytearray(_EXPECT.sub(b"", conn.received, count=1))
        conn.framing = Framing()

    def _proceed(self, conn: Connection, state: State | None) -> None:
        """Hand a request to a thread, refuse it, or close the connection."""
        if state is None:
            self._close(conn)
        elif state in _REFUSALS:
            self._refuse(conn, *_REFUSALS[state])
        else:
            conn.is_last = state is State.LAST
            super().enqueue_req(conn)

    def _make_room(self, conn: Connection) -> None:
        """End the oldest unfinished request if this address, or all together, have too many."""
        most = (self.worker_connections - self.cfg.threads) // 2
        if self._unfinished[conn.address] >= _MAX_UNFINISHED:
            self._drop(next(each for each in self._arriving if each.address == conn.address))
        elif len(self._arriving) >= max(most, 1):
            self._drop(next(iter(self._arriving)))

    def _bound_memory(self) -> None:
        if sum(len(each.received) for each in self._arriving) > _MAX_COLLECTED:
            largest = max(self._arriving, key=lambda each: len(each.received))
            self._forget(largest)
            self._refuse(largest, 503, "Service Unavailable", "too much is being sent just now")

    def _refuse(self, conn: Connection, status: int, name: str, reason: str) -> None:
        """Answer with an error without using a thread, and end the connection."""
        body = json.dumps({"error": f"{name}: {reason}"}).encode()
        header = (
            f"HTTP/1.1 {status} {name}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nAccess-Control-Allow-Origin: *\r\n"
            "Connection: close\r\n\r\n"
        )
        with suppress(OSError):  # without waiting; the client may have gone
            conn.sock.send(header.encode() + body)
        self._linger(conn)

    def _refuse_unaccepted(self, listener: socket.socket) -> None:
        """Close a connection for which there is no descriptor, so that it stops waiting."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        with suppress(OSError):
            listener.accept()[0].close()
        try:
            self._spare = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            # A thread was quicker to take it.
            self._close_oldest()

    def _close_oldest(self) -> None:
        """Close the connection that has waited longest, for a request to arrive or to be sent."""
        if self._arriving:
            self._drop(next(iter(self._arriving)))
        elif self.keepalived_conns:
            kept: Any = self.keepalived_conns.popleft()
            self.poller.unregister(kept.sock)
            self._close(kept)

    def _linger(self, conn: Connection) -> None:
        """End an answered connection once the client closes it, or after ``_LINGER_SECONDS``.

        If it were closed while the client still sends, the end of the answer could be lost (RFC
        9112, 9.6).
        """
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self._closing[conn] = time.monotonic() + _LINGER_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_closing, conn))

    def _on_closing(self, conn: Connection, _: object) -> None:
        try:
            if conn.sock.recv(_PIECE):
                return
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            pass
        self._end(conn)

    def _end(self, conn: Connection) -> None:
        del self._closing[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()
