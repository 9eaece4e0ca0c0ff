from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient, FlaskCliRunner

from moodflix.learning.files import ModelInfo, ModelStore
from moodflix.recommend.learned.model import ChoiceModel
from moodflix.recommend.learned.stored import to_arrays
from tests.conftest import MakeApp
from tests.server import ROOT

SAMPLE = str(ROOT / "samples" / "user_logs.csv")


def done(cli: FlaskCliRunner, *args: str) -> str:
    result: Result = cli.invoke(args=["model", *args])
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def failed(cli: FlaskCliRunner, *args: str) -> str:
    result: Result = cli.invoke(args=["model", *args])
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    [line] = result.stderr.splitlines()
    return line.removeprefix("Error: ")


def printed_json(cli: FlaskCliRunner, *args: str) -> Any:
    return json.loads(done(cli, *args, "--json"))


@pytest.fixture
def sample(cli: FlaskCliRunner) -> None:
    assert cli.invoke(args=["logs", "import", SAMPLE]).exit_code == 0


def put(store: ModelStore, *, worse: bool = False) -> int:
    about = ModelInfo(rows=1, first_id=1, last_id=1, seconds=0, figures={}, below_baseline=worse)
    return store.save(about, *to_arrays(ChoiceModel().fit([{}], ["Mother"])))


def test_train_learns_all_choices_and_uses_what_it_learned(
    sample: None, cli: FlaskCliRunner, store: ModelStore
) -> None:
    said = done(cli, "train")
    wanted = (
        r"model 1 learned 509 choices; hit@10 [\d.]+ % \(popularity [\d.]+ %\) on \d+ held out\.\n"
    )
    assert re.fullmatch(wanted, said), said
    assert store.current() == 1
    got = printed_json(cli, "train")
    assert (got["number"], got["in_use"], got["rows"]) == (2, True, 509)
    assert (got["first_id"], got["last_id"]) == (1, 509)
    assert got["figures"].keys() >= {"rows", "hit10", "popularity_hit10"}
    assert store.current() == 2


def test_train_says_so_when_there_is_nothing_to_learn(
    cli: FlaskCliRunner, store: ModelStore
) -> None:
    assert failed(cli, "train") == "the log holds no choice to learn from"
    assert store.numbers() == []


def test_train_waits_for_nobody(cli: FlaskCliRunner, store: ModelStore) -> None:
    lock = store.lock()
    assert lock is not None
    assert failed(cli, "train").startswith("another process is learning")
    os.close(lock)
    # It was free all along but for that one.
    assert failed(cli, "train") == "the log holds no choice to learn from"


def test_train_needs_a_migrated_database(make_app: MakeApp, instance: Path) -> None:
    (instance / "moodflix.sqlite3").unlink()
    cli = make_app().test_cli_runner()
    assert failed(cli, "train").endswith("run: flask db upgrade")


def test_a_few_choices_are_learned_without_figures(
    client: FlaskClient, cli: FlaskCliRunner
) -> None:
    assert client.post("/inference/log", json={"movieTitle": "Mother"}).status_code == 200
    assert done(cli, "train") == "model 1 learned 1 choices, too few to hold some out.\n"


def test_list_marks_the_one_in_use_and_what_is_wrong_with_others(
    cli: FlaskCliRunner, store: ModelStore, instance: Path
) -> None:
    assert (done(cli, "list"), printed_json(cli, "list")) == ("", [])
    put(store)
    put(store, worse=True)
    put(store)
    store.use(1)
    (instance / "models" / "000003.npz").write_bytes(b"")
    about = store.load(2)[0]
    figures = {"hit10": 0.25, "popularity_hit10": 0.5, "rows": 1000}
    popular = about.model_copy(update={"below_baseline": False, "fallback_for": 2})
    worse = about.model_copy(update={"figures": figures})
    for each in (worse, popular):
        store.save(each, *to_arrays(ChoiceModel().fit([{}], ["Mother"])))
    told_figures = "hit@10 25.0 % (popularity 50.0 %) on 1,000 held out"
    told_worse = "it does worse than popularity and is not used"
    assert done(cli, "list").splitlines() == [
        "* model 1 learned 1 choices, too few to hold some out",
        "  model 2 learned 1 choices, too few to hold some out",
        "  models/000003.npz is refused: damaged, or no model of this station",
        f"  model 4 learned 1 choices; {told_figures}; {told_worse}",
        "  model 5 is popularity, in place of model 2",
    ]
    listed = printed_json(cli, "list")
    assert [each["number"] for each in listed] == [1, 2, 3, 4, 5]
    assert [each["in_use"] for each in listed] == [True, False, False, False, False]


def test_show_tells_all_of_a_model(sample: None, cli: FlaskCliRunner, store: ModelStore) -> None:
    assert failed(cli, "show") == "no model is in use; run: flask model train"
    done(cli, "train")
    put(store)
    shown = printed_json(cli, "show")
    assert (shown["number"], shown["rows"], shown["in_use"]) == (1, 509, True)
    assert shown["versions"].keys() == {"numpy", "scipy", "scikit-learn"}
    lines = done(cli, "show").splitlines()
    assert lines[0] == f"{shown['summary']}."
    assert "  last_id: 509" in lines
    other = printed_json(cli, "show", "2")
    assert (other["number"], other["rows"], other["in_use"]) == (2, 1, False)
    assert failed(cli, "show", "9") == "models/000009.npz is refused: there is no such file"


def test_rollback_goes_back_one_by_one(cli: FlaskCliRunner, store: ModelStore) -> None:
    none_left = "there is no such model that does as well as popularity"
    assert failed(cli, "rollback") == none_left
    for _ in range(3):
        store.use(put(store))
    for number in (2, 1):
        assert done(cli, "rollback").startswith(f"In use: model {number} learned")
        assert store.current() == number
    assert failed(cli, "rollback") == none_left
    assert store.current() == 1
    done(cli, "rollback", "3")
    assert store.current() == 3


def test_rollback_passes_by_what_is_below_baseline_or_damaged(
    cli: FlaskCliRunner, store: ModelStore, instance: Path
) -> None:
    for worse in (False, True, False, False):
        store.use(put(store, worse=worse))
    (instance / "models" / "000003.npz").write_bytes(b"")
    result = cli.invoke(args=["model", "rollback"])
    line = "models/000003.npz is refused: damaged, or no model of this station"
    assert (result.exit_code, result.stderr) == (0, f"{line}\n")
    assert store.current() == 1
    assert failed(cli, "rollback", "3") == line
    assert failed(cli, "rollback", "2").startswith("there is no such model")
    assert store.current() == 1


ROW = re.compile(r"^(?P<metric>\w+) +(?P<value>[\d.]+)( \[[\d.]+, [\d.]+\])? ", re.MULTILINE)
METRICS = ["hit1", "hit5", "hit10", "mrr", "ndcg10", "log_loss", "coverage"]


@pytest.mark.parametrize("split", ["random", "temporal", "place"])
def test_evaluate_measures_on_a_csv_without_a_database(
    make_app: MakeApp, instance: Path, split: str
) -> None:
    (instance / "moodflix.sqlite3").unlink()
    cli = make_app().test_cli_runner()
    said = done(cli, "evaluate", "--csv", SAMPLE, "--split", split, "--seeds", "1")
    assert said.startswith(f"509 choices, {split} split, 1 seeds")
    assert [found["metric"] for found in ROW.finditer(said)] == METRICS
    for model in ("popularity", "old forest", "ours"):
        assert model in said.splitlines()[1]


def test_evaluate_measures_the_log_as_it_would_the_csv(sample: None, cli: FlaskCliRunner) -> None:
    logged = printed_json(cli, "evaluate", "--split", "random", "--seeds", "1")
    written = printed_json(cli, "evaluate", "--split", "random", "--seeds", "1", "--csv", SAMPLE)
    assert (logged["split"], logged["choices"]) == ("random", 509)
    assert logged["results"][0] == written["results"][0]
    for result in logged["results"]:
        assert result["note"] or result.keys() == {"model", "note", *METRICS}
        for figures in (result[name] for name in METRICS if not result["note"]):
            assert figures["low"] <= figures["value"] <= figures["high"]


def test_evaluate_takes_the_rows_of_a_csv_in_time_order(
    cli: FlaskCliRunner, tmp_path: Path
) -> None:
    rows = [f"2025-01-{day:02},,,,,,,,,,,{'New' if day > 24 else 'Old'}\n" for day in range(1, 31)]
    path = tmp_path / "log.csv"
    path.write_text("".join(reversed(rows)))
    results = printed_json(cli, "evaluate", "--csv", str(path), "--seeds", "1")["results"]
    # Of what came last nothing was known.
    assert [each["hit10"]["value"] for each in results if not each["note"]] == [0.0] * (
        len([each for each in results if not each["note"]])
    )
    assert results[0]["log_loss"]["value"] is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "10 choices or more are needed to hold some out"),
        (("--csv", "/nowhere.csv"), "/nowhere.csv can't be read: No such file or directory"),
    ],
)
def test_evaluate_says_what_is_missing(
    cli: FlaskCliRunner, args: tuple[str, ...], said: str
) -> None:
    assert failed(cli, "evaluate", *args) == said
