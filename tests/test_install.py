from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from moodflix import address
from moodflix.requests import COLUMNS
from tests import documents
from tests.server import PATIENCE, ROOT, await_condition, free_port

INSTALLING = 1_200.0


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone of this work tree would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    clone = tmp_path / "clone"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    return clone


class Program:
    """A program that serves until the test ends it; ends with everything it started."""

    def __init__(self, words: list[str], cwd: Path, **env: str) -> None:
        self._log = cwd.with_name(f"{cwd.name}.log")
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                words, cwd=cwd, env=os.environ | env, stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def await_answer(self, url: str) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self.log
            try:
                return httpx.get(f"{url}/healthz", timeout=PATIENCE, trust_env=False).is_success
            except httpx.TransportError:
                return False

        await_condition(answers, f"{url} to answer", INSTALLING)

    def __enter__(self) -> Program:  # noqa: PYI034 - it has no subclasses
        return self

    def __exit__(self, *exc: object) -> None:
        # make hands a SIGTERM on to gunicorn.
        self.process.terminate()
        self.process.wait(PATIENCE)


def shell(script: str, cwd: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=cwd, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def free_port_for_long() -> int:
    """A free port that no connection gets by chance while things are installed."""
    ports = random.sample(range(20_000, 32_000), 100)
    return next(port for port in ports if not address.problem("0.0.0.0", port))


@pytest.mark.slow
def test_the_two_commands_and_the_tour_work_as_written(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port_for_long()
    monkeypatch.setenv("MOODFLIX_PORT", str(port))
    url = f"http://localhost:{port}"
    ask, log, csv = documents.tour()
    assert f"localhost:{address.PORT}/" in ask
    assert f"localhost:{address.PORT}/" in log
    ask, log = (each.replace(f":{address.PORT}/", f":{port}/") for each in (ask, log))
    with Program(["make", "run"], checkout) as running:
        running.await_answer(url)
        assert "Installing" in running.log
        given = json.loads(shell(ask, checkout))
        assert len(given["movies"]) == len(given["picks"]) == 5
        assert given["mood"] == "sad"
        assert given["llm"]["status"] == "unavailable"
        saved, _, read_back = shell(log, checkout).partition("\n")
        assert json.loads(saved) == {"status": "ok", "message": "log saved"}
        assert json.loads(read_back)[0]["movieTitle"] == "The Matrix"
        header, first = shell(csv, checkout).splitlines()[-2:]
        assert header == ",".join(COLUMNS)
        assert first == (
            "2025-10-01T12:00:00Z,San Francisco,37.123,-122.123,work,holiday,Wednesday,clear,22,"
            "nostalgic,calm,The Matrix"
        )
        # The port is taken now: one line, with the remedy.
        refused = subprocess.run(
            ["make", "run"], cwd=checkout, capture_output=True, text=True, check=False
        )
        assert refused.returncode != 0
        assert f"MOODFLIX_PORT={port + 1} make run" in refused.stderr
    with Program(["make", "run"], checkout) as again:
        again.await_answer(url)
        assert "Installing" not in again.log
        assert (
            len(httpx.get(f"{url}/inference/log", timeout=PATIENCE, trust_env=False).json()) == 50
        )


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(checkout: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path / "wheels", "."],
                   cwd=checkout, check=True)  # fmt: skip
    [wheel] = (tmp_path / "wheels").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"moodflix/data/films/korea.csv", "moodflix/data/policy.csv"} <= names
    assert "moodflix/migrations/env.py" in names
    assert not {name for name in names if name.startswith(("tests", "instance", "migrations"))}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    binaries = tmp_path / "fresh" / "bin"
    subprocess.run([binaries / "python", *pip[1:], "install", wheel], cwd=elsewhere, check=True)
    flask = f"{binaries}/flask --app moodflix.serving"
    assert "films" in shell(f"{flask} db upgrade", elsewhere)
    assert "(newest)" in shell(f"{flask} db current", elsewhere)
    port = free_port()
    gunicorn = [str(binaries / "gunicorn"), "-c", "python:moodflix.serving"]
    with Program(gunicorn, elsewhere, MOODFLIX_PORT=str(port)) as running:
        url = f"http://127.0.0.1:{port}"
        running.await_answer(url)
        given = httpx.post(f"{url}/inference", json={}, timeout=PATIENCE, trust_env=False)
        assert len(given.json()["movies"]) == 10
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE, trust_env=False).is_success
    assert (tmp_path / "fresh" / "var" / "moodflix-instance" / "moodflix.sqlite3").exists()


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A python3 that lacks what the test says it lacks, first in the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def make_run(checkout: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "run"], cwd=checkout, env=os.environ | env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lacks", "remedy"),
    [
        ("ensurepip", "Python's venv module is missing; run: sudo apt-get install python3-venv"),
        ("version_info", "Python 3.10 or newer is needed; name one with: make run PYTHON="),
    ],
)
def test_what_is_missing_is_one_line_with_the_remedy(
    checkout: Path, bare_python: Path, lacks: str, remedy: str
) -> None:
    stub = bare_python / "python3"
    stub.write_text(f'#!/bin/sh\ncase "$2" in *{lacks}*) exit 1;; esac\nexit 0\n')
    stub.chmod(0o755)
    done = make_run(checkout, {"PATH": f"{bare_python}:{os.environ['PATH']}"})
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert said[0].startswith(remedy)


def test_no_python_is_one_line_with_the_remedy(checkout: Path) -> None:
    done = make_run(checkout, {"PYTHON": "python-that-is-not-here"})
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert said == [
        "python-that-is-not-here is not installed; run: sudo apt-get install python3 python3-venv"
    ]
