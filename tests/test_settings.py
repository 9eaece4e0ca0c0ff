from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moodflix import config
from moodflix.errors import ConfigError
from tests.server import ROOT


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("PORT", "eighty", "whole number from 1 to 65535"),
        ("PORT", "0", "whole number from 1 to 65535"),
        ("THREADS", "1", "whole number from 4 to 256"),
        ("LLM_TIMEOUT", "nan", "number from 1 to 600"),
        ("IDLE_TIMEOUT", "-1", "number from 0"),
        ("LLM", "maybe", "auto, ollama, embedded"),
        ("LOG_ENVELOPE", "perhaps", "0, 1"),
        ("TIMEZONE", "Mars/Olympus", "a name such as Asia/Seoul"),
        ("TIMEZONE", "../etc/passwd", "a name such as Asia/Seoul"),
        ("TIMEZONE", "Asia", "a name such as Asia/Seoul"),
    ],
)
def test_it_refuses_nonsense_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(f"MOODFLIX_{name}", value)
    with pytest.raises(ConfigError) as refused:
        config.load()
    assert str(refused.value) == f"MOODFLIX_{name}={value!r} is not allowed; it takes: {wanted}"


def test_it_names_every_bad_setting_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODFLIX_PORT", "x")
    monkeypatch.setenv("MOODFLIX_LLM", "y")
    with pytest.raises(ConfigError, match=r"MOODFLIX_PORT.*MOODFLIX_LLM"):
        config.load()


def test_it_takes_an_empty_variable_for_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODFLIX_PORT", "")
    assert config.load().port == 8000


def test_it_reads_a_dotenv_file_as_flask_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MOODFLIX_PORT=8001\nOTHER=1\n")
    monkeypatch.chdir(tmp_path)
    assert config.load().port == 8001


def test_it_points_out_a_mistyped_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODFLIX_PROT", "8001")
    assert list(config.unknown_variables()) == [
        "MOODFLIX_PROT is not a setting; did you mean MOODFLIX_PORT?"
    ]


@pytest.mark.parametrize("program", [["gunicorn"], ["flask", "db", "current"]])
@pytest.mark.parametrize(
    ("name", "value"),
    [("MOODFLIX_PORT", "eighty"), ("MOODFLIX_DATABASE_URL", "mysql://me:secret@host/db")],
)
def test_every_program_stops_with_one_line(
    monkeypatch: pytest.MonkeyPatch, program: list[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = subprocess.run(
        [sys.executable, "-m", *program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"moodflix: {name}")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
