"""HTTP client for Ollama with one total deadline per call.

A read timeout bounds only the gap between two bytes: a server that dribbles holds the caller for
as long as it likes. Here every operation of a connection gets what is left until one deadline.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx
import ollama

CONNECT_SECONDS = 5.0
_SLICE_SECONDS = 0.2
# Some hundred times a long answer; a server that sends more is no Ollama.
MAX_BYTES = 8 * 1024 * 1024


class Deadline:
    """A moment on the monotonic clock, which may be brought forward to now."""

    def __init__(self, seconds: float) -> None:
        """Set the deadline ``seconds`` from now."""
        self.seconds = seconds
        self.cancelled = False
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; 0 or less once it has passed."""
        return 0.0 if self.cancelled else self._at - time.monotonic()

    def cancel(self) -> None:
        """Let it pass now: nobody waits for the answer any more. Another thread may call this."""
        self.cancelled = True

    def bound(self, seconds: float | None) -> float:
        """Return ``seconds`` or what is left, whichever is less.

        Raises:
            httpcore.ReadTimeout: the deadline has passed.
        """
        left = self.left()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return left if seconds is None else min(left, seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        # In slices, so that a cancelled call ends soon; the client sets no timeout of its own.
        while True:
            bound = self._deadline.bound(timeout)
            try:
                return self._stream.read(max_bytes, min(bound, _SLICE_SECONDS))
            except httpcore.ReadTimeout:
                if bound <= _SLICE_SECONDS:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.bound(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        bound = self._deadline.bound(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, bound), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        bound = self._deadline.bound(min(timeout or CONNECT_SECONDS, CONNECT_SECONDS))
        stream = super().connect_tcp(host, port, bound, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        with _as_httpx():
            for data in self._response.iter_stream():
                size += len(data)
                if size > MAX_BYTES:
                    raise httpx.DecodingError("too long")
                yield data

    def close(self) -> None:
        self._response.close()


class _Transport(httpx.BaseTransport):
    def __init__(self, deadline: Deadline) -> None:
        self._pool = httpcore.ConnectionPool(network_backend=_Backend(deadline))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with _as_httpx():
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                )
            )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise httpx.ConnectError(str(error)) from error
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error)) from error
    except httpcore.UnsupportedProtocol as error:
        raise httpx.InvalidURL(str(error)) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.RemoteProtocolError(str(error)) from error


@contextmanager
def connect(deadline: Deadline) -> Iterator[ollama.Client]:
    """Open the official client on a connection that ends at ``deadline`` at the latest.

    It goes where ``OLLAMA_HOST`` says and nowhere else (past any proxy, along no redirect): what
    it carries is private.

    Raises:
        httpx.InvalidURL: ``OLLAMA_HOST`` can't be read.
    """
    try:
        opened = ollama.Client(
            transport=_Transport(deadline), trust_env=False, follow_redirects=False
        )
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error
    try:
        yield opened
    finally:
        opened.close()  # type: ignore[no-untyped-call]
