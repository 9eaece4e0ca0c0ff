"""HTTP client for Ollama with one total deadline per call.

Calls are tasks on one event loop in a background thread: a task that is cancelled ends at once,
whatever the server does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shlex
import shutil
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from moodflix.errors import LlmError
from moodflix.recommend.llm.limits import WAITING_SECONDS, Deadline


@contextmanager
def _hidden_settings() -> Iterator[None]:
    """Hide settings of HTTP clients: ollama makes a client when imported, and bad ones raise."""
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.lower().startswith(("ollama", "ssl")) or name.lower().endswith("_proxy")
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


with _hidden_settings():
    import certifi
    import httpx
    import ollama

T = TypeVar("T")
CONNECT_SECONDS: Final = 5.0
# A hundred long answers; a server that sends more is not Ollama.
MAX_BYTES: Final = 8 * 1024 * 1024
INSTALL: Final = "curl -fsSL https://ollama.com/install.sh | sh"
RESTART: Final = "sudo systemctl restart ollama"
_RIGHT_HOST: Final = "export OLLAMA_HOST=127.0.0.1:11434"
_LOCAL: Final = ("127.0.0.1", "localhost", "::1", "0.0.0.0")  # noqa: S104 - nothing is bound
_loops_lock = threading.Lock()
# By process id: a thread does not survive a fork.
_loops: dict[int, asyncio.AbstractEventLoop] = {}


class OllamaError(LlmError):
    """A call to Ollama failed.

    Attributes:
        problem: what is wrong, in words that may be shown.
        remedy: the command that helps.
        retryable: whether the connection broke, so that a retry may succeed.
    """

    def __init__(
        self, problem: str, remedy: str, advice: str = "", *, retryable: bool = False
    ) -> None:
        """Compose the error's text of the problem and, if there is any, advice."""
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem = problem
        self.remedy = remedy
        self.retryable = retryable


class TooLongError(OllamaError):
    """The server sent more than ``MAX_BYTES``."""


def stream(
    request: Callable[[ollama.AsyncClient], AsyncIterator[T]], model: str, deadline: Deadline
) -> Generator[T | None, None, None]:
    """Yield what ``request`` yields, and ``None`` about once a second; closing it ends the call.

    Raises:
        OllamaError: the call failed, or the deadline passed.
    """
    # What ``request`` yields, then None when the call has ended in any way.
    results: SimpleQueue[T | None] = SimpleQueue()

    async def collect() -> None:
        async with _client(deadline.remaining()) as client:
            async for part in request(client):
                results.put(part)

    loop = _loop()
    future = asyncio.run_coroutine_threadsafe(
        asyncio.wait_for(collect(), deadline.remaining()), loop
    )
    future.add_done_callback(lambda _: results.put(None))
    try:
        tick = time.monotonic() + WAITING_SECONDS
        while True:
            try:
                part = results.get(timeout=max(0, tick - time.monotonic()))
            except Empty:
                tick = time.monotonic() + WAITING_SECONDS
                yield None
                continue
            if part is None:
                break
            yield part
        future.result()
    except OllamaError:
        raise
    except ollama.ResponseError as error:
        raise _status_error(error.status_code, model) from error
    except Exception as error:
        # An unexpected answer may break the client in any way.
        raise _as_ollama_error(error, deadline.seconds) from error
    finally:
        future.cancel()


def call(request: Callable[[ollama.AsyncClient], Awaitable[T]], model: str, seconds: float) -> T:
    """Return what ``request`` returns.

    Raises:
        OllamaError: the call failed, or took longer than ``seconds``.
    """

    async def one_result(client: ollama.AsyncClient) -> AsyncIterator[T]:
        yield await request(client)

    [result] = [part for part in stream(one_result, model, Deadline(seconds)) if part is not None]
    return result


def is_local() -> bool:
    """Whether Ollama's address is one of this machine."""
    host = _host()
    with suppress(ValueError):
        return urlsplit(host if "://" in host else f"//{host}").hostname in _LOCAL
    return False


def _host() -> str:
    """Return ``OLLAMA_HOST`` as Ollama reads it: no blanks or quotes around it, IPv6 bracketed."""
    host = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'").strip()
    with suppress(ValueError):
        if ipaddress.ip_address(host).version == 6:  # noqa: PLR2004 - as in IPv6
            return f"[{host}]"
    return host or "127.0.0.1:11434"


def _loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of this process, which runs in a thread of its own."""
    with _loops_lock:
        if os.getpid() not in _loops:
            loop = asyncio.new_event_loop()
            try:
                threading.Thread(target=loop.run_forever, name="ollama", daemon=True).start()
            except RuntimeError as error:
                loop.close()
                raise OllamaError("no thread is left to call Ollama in", "ulimit -u") from error
            _loops[os.getpid()] = loop
        return _loops[os.getpid()]


def _client(seconds: float) -> ollama.AsyncClient:
    """Open the official client.

    It connects to ``OLLAMA_HOST`` alone, by no proxy and along no redirect, as prompts are private.
    """
    host = _host()
    if len(host.split()) > 1:
        raise httpx.InvalidURL("a blank inside")
    verify: ssl.SSLContext | bool = False
    if host.lower().startswith("https:"):
        verify = ssl.create_default_context()
        verify.load_verify_locations(certifi.where())
    try:
        return ollama.AsyncClient(
            host,
            trust_env=False,
            follow_redirects=False,
            verify=verify,
            # Less than the deadline, so that the error names the connection.
            timeout=httpx.Timeout(None, connect=min(CONNECT_SECONDS, 0.9 * seconds)),
            event_hooks={"response": [_limit_body]},
        )
    except UnicodeEncodeError as error:
        raise OllamaError("OLLAMA_API_KEY is not ASCII", "unset OLLAMA_API_KEY") from error
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error


async def _limit_body(response: httpx.Response) -> None:
    response.stream = _LimitedBody(response.stream)


class _LimitedBody(httpx.AsyncByteStream):
    """A body that raises once it is longer than ``MAX_BYTES``."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for data in self._stream:
            size += len(data)
            if size > MAX_BYTES:
                raise httpx.DecodingError("too long")
            yield data

    async def aclose(self) -> None:
        await self._stream.aclose()


def _as_ollama_error(error: Exception, seconds: float) -> OllamaError:
    """Return what is wrong, without quoting the error, which may contain addresses."""
    if _is_about_a_certificate(error):
        return OllamaError(
            "the certificate at OLLAMA_HOST is not trusted",
            'curl -v "$OLLAMA_HOST"',
            "set SSL_CERT_FILE to that of its authority",
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionError):
        start = "ollama serve" if shutil.which("ollama") else INSTALL
        return OllamaError(
            "Ollama is not reachable",
            start if is_local() else _RIGHT_HOST,
            "is it running? start it with: ollama serve",
        )
    if isinstance(error, httpx.TimeoutException | asyncio.TimeoutError):
        return OllamaError(f"no complete answer within {seconds:g} s", RESTART)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return OllamaError("OLLAMA_HOST is not an address", _RIGHT_HOST)
    if isinstance(error, httpx.TransportError | OSError | CancelledError):
        return OllamaError("the connection to Ollama broke", RESTART, retryable=True)
    kind = TooLongError if isinstance(error, httpx.DecodingError) else OllamaError
    return kind("what answers at OLLAMA_HOST does not speak Ollama's API", _RIGHT_HOST)


def _status_error(status: int, model: str) -> OllamaError:
    if status == httpx.codes.NOT_FOUND:
        remedy = f"ollama pull {shlex.quote(model)}"
        return OllamaError(f"model '{model}' is not pulled", remedy, f"run: ollama pull {model}")
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return OllamaError("Ollama is busy", RESTART, "try again in a moment")
    if httpx.codes.is_redirect(status):
        advice = "set it to where Ollama itself answers"
        return OllamaError("OLLAMA_HOST leads to a redirect", _RIGHT_HOST, advice)
    answered = f"answered HTTP {status}" if status > 0 else "broke off with an error"
    return OllamaError(f"Ollama {answered}", RESTART)


def _is_about_a_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
