from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moodflix import address, config
from tests.server import ROOT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `make run` needs before anything is installed; nothing about addresses is set."""
    for name in ("moodflix", ".venv"):
        (tmp_path / name).mkdir()
    for name in (".venv/.made", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).touch()
    for name in ("Makefile", "moodflix/__init__.py", "moodflix/address.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in [each for each in os.environ if each.startswith(("MOODFLIX_", "GUNICORN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def make_run() -> list[str]:
    """What `make run` complains of; it gets no further than to the installing."""
    words = ["make", "-j", "run", f"PYTHON={sys.executable}", "PIP=echo installing >&2; false"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return [line for line in done.stderr.splitlines() if not line.startswith("make")]


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_taken_port_is_refused_before_anything_is_installed(
    home: Path, taken: int, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv("MOODFLIX_PORT", str(taken))
        monkeypatch.setenv("MOODFLIX_HOST", "127.0.0.1")
    else:
        lines = ("MOODFLIX_HOST=127.0.0.1", f"export MOODFLIX_PORT='{taken}'  # of the hall")
        (home / ".env").write_text("\n".join(lines))
    [line] = make_run()
    assert line.startswith(f"moodflix: port {taken} of 127.0.0.1 can't be used (")
    assert line.endswith(f"MOODFLIX_PORT={taken + 1} make run")


@pytest.mark.parametrize("elsewhere", ["GUNICORN_FD", "LISTEN_FDS", "GUNICORN_CMD_ARGS"])
def test_an_address_that_is_not_ours_to_choose_is_not_looked_at(
    home: Path, taken: int, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    monkeypatch.setenv("MOODFLIX_PORT", str(taken))
    monkeypatch.setenv("MOODFLIX_HOST", "127.0.0.1")
    monkeypatch.setenv(elsewhere, "3")
    assert make_run() == ["installing"]


@pytest.mark.parametrize(
    "file",
    [
        "",
        "MOODFLIX_PORT=8123\nMOODFLIX_HOST=127.0.0.1",
        "export MOODFLIX_PORT = '8123' # of the hall\nmoodflix_host=\"::1\"",
        "MOODFLIX_PORT=8123\nMOODFLIX_PORT=8124\n#MOODFLIX_PORT=8125",
        "MOODFLIX_PORT=\nMOODFLIX_PORTS=8123\nMOODFLIX_HOST=''",
    ],
)
@pytest.mark.parametrize("port", [None, "", "8765"])
def test_it_reads_the_address_that_the_settings_read(
    home: Path, file: str, port: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".env").write_text(file)
    if port is not None:
        monkeypatch.setenv("MOODFLIX_PORT", port)
    settings = config.load()
    assert address.configured() == (settings.host, settings.port)
