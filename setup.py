"""Fetches what npm brings before a wheel is built; all else stands in setup.cfg."""

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
FETCHED = [
    ROOT / "moodflix" / "perception" / "weights" / "LICENSE",
    ROOT / "moodflix" / "web" / "static" / "vendor" / "LICENSE",
]


class FetchAndBuild(build_py):
    """Builds with what npm can fetch, and without it elsewhere."""

    def run(self) -> None:
        """Fetch and build; an editable install leaves fetching to `make run`."""
        if not (self.editable_mode or all(map(Path.exists, FETCHED)) or fetched()):
            sys.stderr.write("No face will be read and no chart drawn: npm is missing or failed.\n")
        super().run()


def fetched() -> bool:
    """Let npm fetch; return whether it did."""
    npm = shutil.which("npm")
    if npm is None or not (ROOT / "package.json").exists():
        return False
    command = [npm, "ci", "--omit=dev", "--no-audit", "--no-fund"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0  # noqa: S603 - our own words


setup(cmdclass={"build_py": FetchAndBuild})
