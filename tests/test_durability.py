from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.server import Serve, ServeGunicorn, await_condition

_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1 << 1


def test_eight_threads_log_while_others_read(serve: Serve) -> None:
    served = serve()
    titles = [f"Film {place}" for place in range(400)]

    def log(title: str) -> bool:
        return served.post("/inference/log", {"movieTitle": title}).is_success

    def read(_: int) -> list[str]:
        answered = served.get("/inference/log?limit=10000")
        assert answered.status_code == 200
        return [row["movieTitle"] for row in answered.json()]

    with ThreadPoolExecutor(8) as writers, ThreadPoolExecutor(4) as readers:
        reads = [readers.submit(read, place) for place in range(60)]
        assert all(writers.map(log, titles))
        seen = [each.result() for each in reads]
    final = read(0)
    assert Counter(final) == Counter(titles)
    # Whatever a reader saw is what the table held at one moment: a beginning of the final order.
    assert all(rows == final[: len(rows)] for rows in seen)


def test_every_acknowledged_row_survives_kill_9_once(
    serve_gunicorn: ServeGunicorn, serve: Serve
) -> None:
    served = serve_gunicorn(workers=2)
    acknowledged: list[str] = []

    def log_until_it_dies(writer: int) -> None:
        with served.connect() as http:
            for place in range(100_000):
                title = f"Film {writer}-{place}"
                try:
                    answered = http.post("/inference/log", json={"movieTitle": title})
                except httpx.TransportError:
                    return
                assert answered.json() == {"status": "ok", "message": "log saved"}
                acknowledged.append(title)

    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(log_until_it_dies, writer) for writer in range(8)]
        await_condition(lambda: len(acknowledged) > 200, "200 acknowledged rows")
        served.kill()
        for writer in writers:
            writer.result()
    again = serve()
    rows = Counter(row["movieTitle"] for row in again.get("/inference/log?limit=10000").json())
    assert [title for title in acknowledged if rows[title] != 1] == []
    # At most the request each writer had in flight was saved without being acknowledged.
    assert sum(rows.values()) <= len(acknowledged) + 8
    assert max(rows.values()) == 1


@contextmanager
def obeying_permissions() -> Iterator[None]:
    """Let root obey file permissions as everybody else does, in threads started meanwhile too."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable, the low half of each and then the high one.
    before = (ctypes.c_uint32 * 6)()
    _call("capget", header, before)
    _call("capset", header, (ctypes.c_uint32 * 6)(before[0] & ~_CAP_DAC_OVERRIDE, *before[1:]))
    try:
        yield
    finally:
        _call("capset", header, before)


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_database_is_a_500_until_the_cause_goes(
    instance: Path, serve: Serve, tmp_path: Path, what: str
) -> None:
    if what == "folder":
        instance.chmod(0o555)
    else:
        (instance / "moodflix.sqlite3").chmod(0o444)
    with obeying_permissions():
        served = serve()
        try:
            for _ in range(3):
                refused = served.post("/inference/log", {"movieTitle": "Mother"})
                assert refused.status_code == 500
                assert "read-only" in refused.text or "not writable" in refused.text
                assert str(tmp_path) not in refused.text
                assert refused.headers["Access-Control-Allow-Origin"] == "*"
            answered = served.post("/inference", {})
        finally:
            mend(instance)
        saved = served.post("/inference/log", {"movieTitle": "Mother"})
        assert saved.json() == {"status": "ok", "message": "log saved"}
        assert len(served.get("/inference/log").json()) == 1
    # Whether it can be read meanwhile or not, people are answered.
    assert answered.status_code == 200
    assert answered.json()["inferenceId"] is None
    assert any("was not stored" in line for line in answered.json()["warnings"])


def mend(instance: Path) -> None:
    """What an admin does: chmod u+w instance instance/*."""
    instance.chmod(0o755)
    for file in instance.iterdir():
        file.chmod(0o644)
