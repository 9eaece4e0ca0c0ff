from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from moodflix.learning.files import ModelStore
from tests import voices
from tests.conftest import MakeApp
from tests.learning import choose, context, settle, trainer_of
from tests.perceiving import perceived, reader, text
from tests.server import GunicornServer, Serve, Served, ServeGunicorn, await_condition

# Within these seconds a choice is known to every worker, as the documents promise.
PROMISED = 5.0


def seen_by_all(served: Served, detail: str) -> bool:
    """Whether every worker says so; each new connection may reach another one."""
    for _ in range(12):
        with served.connect() as http:
            got = http.get("/readyz").json()
        if got["recommenders"]["context"]["detail"] != detail:
            return False
    return True


def learners(served: GunicornServer) -> list[int]:
    """The processes that learn; a thread starts them, so each thread's children are looked at."""
    found = []
    for worker in served.children():
        for task in Path(f"/proc/{worker}/task").iterdir():
            try:
                pids = (task / "children").read_text().split()
            except OSError:
                continue
            found += [int(pid) for pid in pids if is_learner(int(pid))]
    return found


def is_learner(pid: int) -> bool:
    try:
        return b"moodflix.learning.training" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def log(served: Served, count: int) -> None:
    for place in range(count):
        mood = ("sad", "angry")[place % 2]
        sent = served.post("/inference/log", {"movieTitle": f"Film {mood}", "mood": mood})
        assert sent.status_code == 200


def test_a_choice_waits_for_one_look_at_the_log_and_looks_are_close(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception):  # noqa: N818 - no error
        pass

    here, elsewhere = (make_app(retrain_rows=1000).test_client() for _ in range(2))
    waited = 0.0

    def wait(seconds: float) -> None:
        """Log a choice by another worker as soon as a wait begins."""
        nonlocal waited
        total = round(waited / seconds)
        assert context(here)["detail"] == f"learned from {total} choices"
        if total == 3:
            raise Enough
        choose(elsewhere, "Mother")
        settle()
        waited += seconds

    monkeypatch.setattr("moodflix.learning.training.time.sleep", wait)
    with pytest.raises(Enough):
        trainer_of(here.application).watch()
    # The rest is left for counting and a busy machine.
    assert 0 < waited / 3 <= PROMISED / 4


def test_all_workers_swap_under_load_and_drop_nothing(
    serve_gunicorn: ServeGunicorn, make_app: MakeApp, instance: Path
) -> None:
    served = serve_gunicorn(workers=2, retrain_rows=60)
    store = ModelStore(instance / "models")
    done = threading.Event()
    answers = []

    def ask() -> None:
        with served.connect() as http:
            while not done.wait(0.05):
                answered = http.post("/inference", json={"mood": "sad", "limit": 3})
                answers.append((answered.status_code, answered.json().get("error")))

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            log(served, 60)
            await_condition(lambda: store.current() == 1, "the first model")
            log(served, 1)
            await_condition(lambda: seen_by_all(served, "learned from 61 choices"), "a swap")
            # The first may not quite have ended.
            cli = make_app().test_cli_runner()
            await_condition(lambda: cli.invoke(args=["model", "train"]).exit_code == 0, "training")
            log(served, 1)
            await_condition(lambda: seen_by_all(served, "learned from 62 choices"), "another")
        finally:
            done.set()
        for each in asking:
            each.result()
    assert len(answers) > 10
    assert set(answers) == {(200, None)}
    assert store.current() == 2
    assert served.log.count("model 1 learned 60 choices") == 1


def is_unlocked(store: ModelStore) -> bool:
    handle = store.lock()
    if handle is not None:
        os.close(handle)
    return handle is not None


def test_every_worker_counts_choices_and_one_starts_a_polite_process_that_may_be_killed(
    serve_gunicorn: ServeGunicorn, instance: Path
) -> None:
    served = serve_gunicorn(workers=2, retrain_rows=30)
    store = ModelStore(instance / "models")
    for more, total in ((1, 1), (9, 10)):
        log(served, more)
        await_condition(
            lambda: seen_by_all(served, f"learned from {total} choices"),  # noqa: B023 - used now
            f"all workers to count {total} choices",
        )
    log(served, 20)
    await_condition(lambda: bool(learners(served)), "a process that learns")
    [learner] = learners(served)
    await_condition(lambda: niceness(learner) > niceness(served.pid), "politeness")
    os.kill(learner, signal.SIGSTOP)
    # Not held up by it.
    log(served, 2)
    await_condition(lambda: seen_by_all(served, "learned from 32 choices"), "counting")
    assert learners(served) == [learner]
    assert store.lock() is None
    os.kill(learner, signal.SIGKILL)
    await_condition(lambda: "nothing was learned: " in served.log, "word of its end")
    assert (store.numbers(), store.state()) == ([], None)
    # The other worker may already be learning in its place.
    await_condition(lambda: is_unlocked(store), "the killed process's lock")
    assert served.post("/inference", {}).status_code == 200


def test_a_stop_ends_trainer_and_media_worker(serve_gunicorn: ServeGunicorn) -> None:
    served = serve_gunicorn(retrain_rows=5)
    perceived(served, {"audio": text(voices.wav(np.zeros(voices.RATE)))})
    listener = reader(served)
    log(served, 5)
    await_condition(lambda: bool(learners(served)), "a process that learns")
    [learner] = learners(served)
    os.kill(learner, signal.SIGSTOP)
    os.kill(learner, signal.SIGCONT)
    served.stop()
    assert not is_learner(learner)
    await_condition(lambda: not Path(f"/proc/{listener}").exists(), "the media worker to end")
    assert "Traceback" not in served.log


def test_a_station_without_a_readable_model_starts_and_says_so_once(
    serve: Serve, instance: Path
) -> None:
    folder = instance / "models"
    folder.mkdir()
    (folder / "000004.npz").write_bytes(b"not a model")
    (folder / "current").write_text("4\n")
    served = serve(retrain_rows=1000)
    log(served, 1)
    line = "models/000004.npz is refused: damaged, or no model of this station"
    await_condition(
        lambda: seen_by_all(served, f"learned from 1 choices; {line}"), "word of the damage"
    )
    assert served.log.count(line) == 1
    assert "Traceback" not in served.log
