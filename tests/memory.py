"""How much memory a command takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.server import ROOT

# Linux counts into a child's ru_maxrss what its parent held before exec; VmHWM is its own alone.
_RUN = """
import atexit, re, sys
from pathlib import Path
status = Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:.*", status.read_text())[0], file=sys.stderr))
from flask.cli import main
main()
"""


def flask(instance: Path, *args: object) -> tuple[str, int]:
    """Run a command; return what it printed and the most memory it took, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, args)],
        cwd=ROOT,
        env=os.environ | {"MOODFLIX_INSTANCE": str(instance)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak = re.search(r"VmHWM:\s*(\d+) kB", done.stderr)
    assert peak, done.stderr
    return done.stdout, int(peak[1]) // 1024
