from __future__ import annotations

import subprocess
import sys

from flask.testing import FlaskClient, FlaskCliRunner

from tests.server import ROOT


def test_the_sample_is_what_its_script_makes_and_imports_whole(
    cli: FlaskCliRunner, client: FlaskClient
) -> None:
    sample = ROOT / "samples" / "user_logs.csv"
    made = subprocess.run(
        [sys.executable, ROOT / "samples" / "make_logs.py"], capture_output=True, check=True
    )
    remedy = "run: python samples/make_logs.py -o samples/user_logs.csv"
    assert made.stdout == sample.read_bytes(), remedy
    rows = len(made.stdout.splitlines()) - 1
    assert 300 <= rows <= 900
    done = cli.invoke(args=["logs", "import", str(sample)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(client.get("/inference/log?limit=10000").get_json()) == rows
    assert cli.invoke(args=["logs", "export"]).stdout_bytes == made.stdout
