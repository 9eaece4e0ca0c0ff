from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.server import GunicornServer, Serve, ServeGunicorn, await_condition

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1


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


def test_every_acknowledged_row_survives_kill_9_once(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn(workers=2)
    acknowledged: list[str] = []

    def log_until_it_dies(writer: int) -> None:
        with httpx.Client(base_url=served.url, timeout=30, trust_env=False) as http:
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
    again = serve_gunicorn()
    rows = Counter(row["movieTitle"] for row in again.get("/inference/log?limit=10000").json())
    assert [title for title in acknowledged if rows[title] != 1] == []
    # At most the request each writer had in flight was saved without being acknowledged.
    assert sum(rows.values()) <= len(acknowledged) + 8
    assert max(rows.values()) == 1


def obey_permissions() -> None:
    """Let root obey file permissions, as everybody else does: run before exec."""
    if ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0):
        raise OSError("CAP_DAC_OVERRIDE can't be dropped")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_database_is_a_500_until_the_cause_goes(
    instance: Path, tmp_path: Path, what: str
) -> None:
    if what == "folder":
        instance.chmod(0o555)
    else:
        (instance / "moodflix.sqlite3").chmod(0o444)
    served = GunicornServer(
        {"instance": instance, "llm": "embedded"}, tmp_path / "log", preexec=as_anybody()
    )
    try:
        served.wait_until_alive()
        for _ in range(3):
            refused = served.post("/inference/log", {"movieTitle": "Mother"})
            assert refused.status_code == 500
            assert "read-only" in refused.text or "not writable" in refused.text
            assert str(tmp_path) not in refused.text
            assert refused.headers["Access-Control-Allow-Origin"] == "*"
        given = served.post("/inference", {})
        mend(instance)
        saved = served.post("/inference/log", {"movieTitle": "Mother"})
        assert saved.json() == {"status": "ok", "message": "log saved"}
        assert len(served.get("/inference/log").json()) == 1
        # Whether it can be read meanwhile or not, people are answered.
        assert given.status_code == 200
        assert given.json()["inferenceId"] is None
        assert any("was not stored" in line for line in given.json()["warnings"])
    finally:
        mend(instance)
        served.stop()


def mend(instance: Path) -> None:
    """What an admin does: chmod u+w instance instance/*."""
    instance.chmod(0o755)
    for file in instance.iterdir():
        file.chmod(0o644)


def as_anybody() -> Callable[[], None] | None:
    return obey_permissions if os.geteuid() == 0 else None
