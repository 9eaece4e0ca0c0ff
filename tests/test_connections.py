"""Clients that send slowly, wrongly or nothing, against a real gunicorn."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.server import PATIENCE, GunicornServer, ServeGunicorn, await_condition, make_certificate

# The server has fewer threads than are held.
THREADS, HELD = 4, 200
LOG = json.dumps({"movieTitle": "Paterson"}).encode()
HALVES = {
    "nothing": b"",
    "a request line": b"POST /inference/log HTTP/1.1\r\n",
    "half a header": b"POST /inference/log HTTP/1.1\r\nHost: a\r\nContent-Le",
    "a body cut short": b"POST /inference/log HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n{",
    "a large body": b"POST /inference HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n{",
    "half a chunk": b"POST /inference HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{",
}


class Station:
    """A server and how to reach it: over TLS if it has a certificate."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        settings: dict[str, object] = {"instance": folder, "llm": "embedded", "threads": THREADS}
        self._trusting = None
        if tls:
            cert, key = make_certificate(folder)
            settings |= {"tls_cert": cert, "tls_key": key}
            self._trusting = ssl.create_default_context(cafile=str(cert))
        self.server = GunicornServer(settings, folder / "gunicorn.log")
        base_url = f"http{'s' * tls}://127.0.0.1:{self.server.port}"
        self.server.http.close()
        self.server.http = httpx.Client(
            base_url=base_url, verify=self._trusting or False, timeout=PATIENCE, trust_env=False
        )
        self.get, self.post = self.server.get, self.server.post

    def dial(self) -> socket.socket:
        """Connect, without a TLS handshake."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE)

    def connect(self) -> socket.socket:
        dialled = self.dial()
        if self._trusting is None:
            return dialled
        return self._trusting.wrap_socket(dialled, server_hostname="127.0.0.1")


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def station(
    request: pytest.FixtureRequest, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Station]:
    """One server for all tests, which hold its connections open and send it nonsense."""
    folder = tmp_path_factory.mktemp("connections")
    shutil.copy(migrated, folder)
    station = Station(folder, tls=request.param)
    try:
        station.server.wait_until_alive()
        yield station
    finally:
        station.server.stop()
    assert "Traceback" not in station.server.log


def exchange(station: Station, sent: bytes) -> bytes:
    """Send bytes and return all that comes back until the server closes."""
    with station.connect() as client:
        client.sendall(sent)
        return received(client)


def test_silent_clients_hold_up_nobody(station: Station) -> None:
    """Under TLS they don't even shake hands."""
    with ExitStack() as stack:
        for _ in range(HELD):
            stack.enter_context(station.dial())
        for _ in range(20):
            assert station.get("/healthz").is_success


def test_a_request_that_never_ends_is_answered_408(station: Station) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(station.connect()) for _ in HALVES]
        for client, half in zip(clients, HALVES.values(), strict=True):
            client.sendall(half)
        assert [received(client)[:12] for client in clients] == [b"HTTP/1.1 408"] * len(HALVES)


def received(client: socket.socket) -> bytes:
    pieces = []
    while piece := client.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def choices(station: Station) -> int:
    return len(station.get("/inference/log?limit=10000").json())


def log_request(*headers: str, body: bytes = LOG) -> bytes:
    lines = ["POST /inference/log HTTP/1.1", "Host: a", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("half", HALVES)
def test_half_sent_requests_hold_up_nobody(station: Station, half: str) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(station.connect()) for _ in range(HELD)]
        for client in clients:
            client.sendall(HALVES[half])
        for _ in range(20):
            assert station.get("/healthz").is_success
        assert station.post("/inference/log", {"movieTitle": "Paterson"}).is_success
        # They are still held: none was answered or closed.
        for client in clients:
            client.setblocking(False)
            with pytest.raises((BlockingIOError, ssl.SSLWantReadError)):
                client.recv(1)


def test_a_request_in_pieces_is_answered(station: Station) -> None:
    whole, before = log_request(f"Content-Length: {len(LOG)}"), choices(station)
    with station.connect() as client:
        for byte in whole:
            client.sendall(bytes([byte]))
        assert received(client).startswith(b"HTTP/1.1 200")
    assert choices(station) == before + 1


def test_requests_sent_at_once_are_answered_one_after_the_other(station: Station) -> None:
    before = choices(station)
    first = log_request(f"Content-Length: {len(LOG)}").replace(b"close", b"keep-alive")
    got = exchange(station, first + first + b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200") == 3
    assert choices(station) == before + 2


def test_a_chunked_body_is_read(station: Station) -> None:
    chunks = b"%x;a=b\r\n%b\r\n0\r\nX-Trailer: a\r\n\r\n" % (len(LOG), LOG)
    got = exchange(station, log_request("Transfer-Encoding: chunked", body=chunks))
    assert got.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "body", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}xx0\r\n\r\n", b"2;" + b"a" * 5000 + b"\r\n{}\r\n"]
)
def test_malformed_chunks_are_a_400(station: Station, body: bytes) -> None:
    got = exchange(station, log_request("Transfer-Encoding: chunked", body=body))
    head, _, answer = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert "chunks are malformed" in json.loads(answer)["error"]


def test_a_header_without_end_is_refused(station: Station) -> None:
    got = exchange(station, b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000)
    assert got.startswith(b"HTTP/1.1 431")


def test_a_body_too_long_is_refused_before_it_is_sent(station: Station) -> None:
    got = exchange(station, log_request("Content-Length: 999999999", body=b"{"))
    assert got.startswith(b"HTTP/1.1 413")


def test_a_client_that_asks_first_is_told_to_go_on(station: Station) -> None:
    headers = log_request(f"Content-Length: {len(LOG)}", "Expect: 100-continue", body=b"")
    with station.connect() as client:
        client.sendall(headers)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(LOG)
        assert received(client).startswith(b"HTTP/1.1 200")


def test_clients_that_never_read_their_answers_lose_them(station: Station) -> None:
    """As many as there are threads, each asking for more than the buffers of a socket take."""
    row = {"movieTitle": "a" * 300, "env": dict.fromkeys(("city", "weather_desc"), "b" * 200)}
    for _ in range(50):
        assert station.post("/inference/log", row).is_success
    many = b"GET /inference/log?limit=10000 HTTP/1.1\r\nHost: a\r\n\r\n" * 500
    with ExitStack() as stack:
        for _ in range(THREADS):
            stack.enter_context(station.connect()).sendall(many)
        await_condition(lambda: station.server.log.count("GET /inference/log ") > 10, "answers")
        await_condition(lambda: connections(station) <= 1, "the connections to be dropped")
        assert station.get("/healthz").is_success


def test_a_client_that_never_closes_holds_up_nobody(station: Station) -> None:
    """A closed connection ends when its client closes it too, or two seconds later."""
    with ExitStack() as stack:
        clients = [stack.enter_context(station.connect()) for _ in range(30)]
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for client in clients:
            assert received(client).startswith(b"HTTP/1.1 200")
        assert station.get("/healthz").is_success
        await_condition(lambda: connections(station) <= 1, "the connections to end")


def connections(station: Station) -> int:
    """How many connections of clients the server holds, those kept alive included."""
    table = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()]
    port = f":{station.server.port:04X}"
    # 0A listens; a connection that no process holds has no inode.
    return sum(row[1].endswith(port) and row[3] != "0A" and row[9] != "0" for row in table)


def test_a_worker_out_of_descriptors_refuses_and_lives_on(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn()
    [worker] = served.children()
    await_condition(lambda: served.get("/readyz").is_success, "the warm-up")
    assert served.post("/inference/log", {"movieTitle": "Mother"}).is_success
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (64, 64))
    with ExitStack() as stack:
        address = ("127.0.0.1", served.port)
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(100)]
        for client in clients:
            client.settimeout(PATIENCE)
        # Those that there is a descriptor for are silent for too long.
        ends = {received(client)[:12] for client in clients}
    assert ends == {b"", b"HTTP/1.1 408"}
    await_condition(lambda: served.get("/inference/log").is_success, "an answer")
    assert served.post("/inference/log", {"movieTitle": "Mother"}).is_success
    assert served.children() == [worker], served.log
    assert "Traceback" not in served.log
