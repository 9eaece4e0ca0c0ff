from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT

SKIPS = """
import pytest

@pytest.fixture
def lacking():
    pytest.skip("no such program")

def test_in_a_fixture(lacking):
    pass

@pytest.mark.skipif(True, reason="no such file")
def test_by_a_mark():
    pass

@pytest.mark.xfail(reason="known")
def test_that_is_known_to_fail():
    assert False
"""


@pytest.mark.parametrize("ci", [None, "true"])
def test_in_ci_a_skip_is_a_failure(tmp_path: Path, ci: str | None) -> None:
    hook = "from tests.conftest import pytest_runtest_makereport\n"
    (tmp_path / "conftest.py").write_text(hook, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(SKIPS, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"CI": ci} if ci else {})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", tmp_path, tmp_path, "-ra"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == bool(ci), done.stdout
    assert "1 xfailed" in done.stdout
    assert ("2 errors" if ci else "2 skipped") in done.stdout
    assert "no such program" in done.stdout
    assert "no such file" in done.stdout
