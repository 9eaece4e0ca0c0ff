from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import faces
from tests.server import ROOT

UNREAD = (
    "No face will be read and no chart drawn, npm is missing or failed; "
    "run: sudo apt-get install npm"
)


# What npm brings into the package.
BROUGHT = ROOT / "moodflix" / "perception" / "weights", ROOT / "moodflix" / "web/static/vendor"


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A checkout whose Python parts are installed, and programs that only say they ran."""
    home = tmp_path / "home"
    (home / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, home)
    for name in ("setup.cfg", "pyproject.toml", ".venv/.made", ".venv/.installed"):
        (home / name).touch()
    for name in ("flask", "gunicorn"):
        program(home / ".venv" / "bin" / name, f"echo {name}")
    (tmp_path / "bin").mkdir()
    for name in ("make", "sh", "mkdir", "touch"):
        found = shutil.which(name)
        assert found
        (tmp_path / "bin" / name).symlink_to(found)
    return home


def make_run(home: Path) -> tuple[list[str], list[str]]:
    """What `make run` printed and what it complained of, with few programs in the path."""
    done = subprocess.run(
        ["make", "run"], cwd=home, env=os.environ | {"PATH": str(home.parent / "bin")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_without_npm_it_says_so_in_a_line_and_serves(home: Path) -> None:
    assert make_run(home) == (["flask", "gunicorn"], [UNREAD])


def test_when_npm_fails_it_says_so_and_serves(home: Path) -> None:
    program(home.parent / "bin" / "npm", "echo no network >&2; exit 1")
    assert make_run(home) == (["flask", "gunicorn"], ["no network", UNREAD])


def test_npm_runs_once(home: Path) -> None:
    weights = "moodflix/perception/weights"
    program(
        home.parent / "bin" / "npm",
        f'echo "$@" >> asked; mkdir -p {weights}; touch {weights}/LICENSE',
    )
    assert make_run(home) == make_run(home) == (["flask", "gunicorn"], [])
    assert (home / "asked").read_text().splitlines() == [
        "ci --no-audit --no-fund --loglevel=error --omit=dev"
    ]
    # A newer version of the package is fetched.
    later = (home / weights / "LICENSE").stat().st_mtime + 10
    os.utime(home / "package-lock.json", (later, later))
    make_run(home)
    assert len((home / "asked").read_text().splitlines()) == 2


def test_the_lock_file_holds_no_addresses() -> None:
    locked = (ROOT / "package-lock.json").read_text()
    assert "resolved" not in locked
    assert locked.count('"integrity"') == locked.count('"node_modules/')


@pytest.mark.slow
@pytest.mark.parametrize("installed", [pytest.param(True, marks=faces.needs_npm), False])
def test_a_wheel_carries_the_nets_and_charts_that_are_there(
    tmp_path: Path, *, installed: bool
) -> None:
    checkout = tmp_path / "checkout"
    kept = shutil.ignore_patterns("__pycache__", *([] if installed else ["weights", "vendor"]))
    for name in ("moodflix", "migrations"):
        shutil.copytree(ROOT / name, checkout / name, ignore=kept)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, checkout)
    carried = carried_by_a_wheel(checkout)
    there = {path.name for folder in BROUGHT for path in folder.iterdir()}
    assert carried == (there if installed else set())


@pytest.mark.slow
def test_a_wheel_fetches_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "checkout"
    without = shutil.ignore_patterns("__pycache__", "weights", "vendor")
    for name in ("moodflix", "migrations"):
        shutil.copytree(ROOT / name, checkout / name, ignore=without)
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "package.json"):
        shutil.copy(ROOT / name, checkout)
    (tmp_path / "bin").mkdir()
    weights = "moodflix/perception/weights"
    program(tmp_path / "bin" / "npm", f"mkdir {weights} && touch {weights}/fetched")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert carried_by_a_wheel(checkout) == {"fetched"}


def carried_by_a_wheel(checkout: Path) -> set[str]:
    """Build a wheel and return the names of what npm brought in it."""
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel",
         "--no-deps", "-w", checkout.parent, checkout], check=True,
    )  # fmt: skip
    [wheel] = checkout.parent.glob("*.whl")
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    return {name.name for name in names if name.parent.name in ("weights", "vendor")}
