from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.learning.files import (
    FORMAT,
    KEEP,
    ModelFileError,
    ModelInfo,
    ModelStore,
    OutdatedModelError,
)
from tests.server import ROOT

ARRAYS = {"counts": np.arange(60).reshape(12, 5), "weights": np.array([0.5, 0.25])}
META = {"titles": ["Mother", "기생충"], "kind": 1}
FIGURES = {"rows": 20.0, "hit10": 0.5, "popularity_hit10": 0.25}


def about(**told: Any) -> ModelInfo:
    given = {"rows": 7, "first_id": 2, "last_id": 9, "seconds": 0.5, "figures": FIGURES}
    return ModelInfo(**(given | told))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "instance" / "models")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "models"


def test_it_gives_back_what_it_was_given(store: ModelStore) -> None:
    given = about()
    assert store.save(given, ARRAYS, META) == 1
    told, arrays, meta = store.load(1)
    assert (told, meta) == (given, META)
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert told.versions.keys() == {"numpy", "scipy", "scikit-learn"}
    assert told.versions["numpy"] == np.__version__
    assert store.load(1, arrays=False) == (given, {}, {})


def test_it_knows_nothing_and_makes_nothing_before_the_first(
    store: ModelStore, folder: Path
) -> None:
    known = (store.state(), store.current(), store.numbers(), store.newest())
    assert known == (None, None, [], None)
    assert not folder.exists()


def test_a_model_is_in_use_only_once_that_is_said(store: ModelStore, folder: Path) -> None:
    store.save(about(), ARRAYS, META)
    assert (store.state(), store.current()) == (None, None)
    store.use(1)
    first = store.state()
    assert store.current() == 1
    store.save(about(rows=8), ARRAYS, META)
    assert store.state() == first
    store.use(2)
    assert store.state() != first
    # Every process sees the same, and so does the next one.
    assert ModelStore(folder).current() == 2


def test_it_keeps_the_last_ones_and_the_one_in_use(store: ModelStore) -> None:
    for place in range(KEEP + 4):
        number = store.save(about(), ARRAYS, META)
        assert number == place + 1
        if number == 2:
            store.use(2)
    assert store.numbers() == [2, *range(4, KEEP + 5)]


def test_a_number_is_never_given_twice(store: ModelStore, folder: Path) -> None:
    store.save(about(), ARRAYS, META)
    store.use(1)
    (folder / "000001.npz").unlink()
    assert store.save(about(), ARRAYS, META) == 2


def refused(store: ModelStore, number: int = 1) -> str:
    said = set()
    for arrays in (True, False):
        with pytest.raises(ModelFileError) as error:
            store.load(number, arrays=arrays)
        said.add(str(error.value))
    [line] = said
    assert "\n" not in line
    return line


def test_a_missing_file_is_refused(store: ModelStore) -> None:
    assert refused(store, 3) == "models/000003.npz is refused: there is no such file"


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"a text\n", pickle.dumps({"a": 1}), b"\x93NUMPY\x01\x00", os.urandom(99)],
    ids=["empty", "zip-begun", "text", "pickle", "npy", "noise"],
)
def test_a_foreign_file_is_refused(store: ModelStore, folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "000001.npz").write_bytes(content)
    assert refused(store) == ("models/000001.npz is refused: damaged, or no model of this station")
    assert store.newest() is None


def test_a_zip_of_something_else_is_refused(store: ModelStore, folder: Path) -> None:
    folder.mkdir(parents=True)
    np.savez(folder / "000001.npz", something=np.arange(3))
    assert refused(store).endswith("no model of this station")
    with zipfile.ZipFile(folder / "000002.npz", "w") as archive:
        archive.writestr("_about", "{}")
    assert refused(store, 2).endswith("no model of this station")


def test_objects_are_never_unpickled(store: ModelStore, folder: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "sprung",))

    store.save(about(), {"weights": np.array([Trap()], dtype=object)}, META)
    with pytest.raises(ModelFileError, match="damaged"):
        store.load(1)
    assert not (folder / "sprung").exists()


def test_a_file_of_a_newer_version_is_refused(store: ModelStore) -> None:
    store.save(about(format=FORMAT + 1), ARRAYS, META)
    assert refused(store) == (
        f"models/000001.npz is refused: made by a newer version (format {FORMAT + 1}, not {FORMAT})"
    )


def test_a_file_of_an_older_version_is_outdated(store: ModelStore) -> None:
    store.save(about(format=FORMAT - 1), ARRAYS, META)
    with pytest.raises(OutdatedModelError):
        store.load(1)
    assert refused(store) == (
        f"models/000001.npz is made by an older version (format {FORMAT - 1}, not {FORMAT})"
    )
    assert store.newest() is None


@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: float, value: int
) -> None:
    folder = tmp_path_factory.mktemp("models")
    store, given = ModelStore(folder), about()
    store.save(given, ARRAYS, META)
    path = folder / "000001.npz"
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= value
    path.write_bytes(content)
    try:
        told, arrays, meta = store.load(1)
    except ModelFileError:
        return
    assert told == given
    # A changed name of a member is for the model to miss.
    for name in arrays.keys() & ARRAYS.keys():
        np.testing.assert_array_equal(arrays[name], ARRAYS[name])
    assert meta == META


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.mktemp("models")
    store = ModelStore(folder)
    store.save(about(), ARRAYS, META)
    path = folder / "000001.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refused(store)


@pytest.mark.parametrize("content", [b"", b"one", b"\xff\xfe", b"1 2"])
def test_a_damaged_current_names_no_model(store: ModelStore, folder: Path, content: bytes) -> None:
    store.save(about(), ARRAYS, META)
    (folder / "current").write_bytes(content)
    assert store.current() == 0
    assert "there is no such file" in refused(store, 0)
    # It heals with the next model.
    store.use(store.save(about(), ARRAYS, META))
    assert store.current() == 2


def test_the_newest_that_can_be_read_is_the_newest(store: ModelStore, folder: Path) -> None:
    for rows in (5, 6):
        store.save(about(rows=rows), ARRAYS, META)
    newest = store.newest()
    assert newest is not None
    assert newest.rows == 6
    (folder / "000002.npz").write_bytes(b"")
    newest = store.newest()
    assert newest is not None
    assert newest.rows == 5


def test_a_folder_that_cannot_be_written_is_one_line(store: ModelStore, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_bytes(b"a file where the folder should be")
    for write in (lambda: store.save(about(), ARRAYS, META), lambda: store.use(1), store.lock):
        with pytest.raises(ModelFileError, match=r"^models/ can't be written: "):
            write()


@pytest.mark.parametrize(("without", "left"), [("", []), ("del os.O_TMPFILE", [".tmp"])])
def test_a_writer_killed_midway_leaves_no_half_file(
    store: ModelStore, folder: Path, without: str, left: list[str]
) -> None:
    store.use(store.save(about(), ARRAYS, META))
    script = (
        f"import os, signal, sys, numpy as np\n{without}\n"
        "from pathlib import Path\n"
        "from moodflix.learning.files import ModelInfo, ModelStore\n"
        "def half(file, **arrays):\n"
        "    file.write(b'PK' * 5000); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "np.savez_compressed = half\n"
        "about = ModelInfo(rows=1, first_id=1, last_id=1, seconds=0, figures={})\n"
        "ModelStore(Path(sys.argv[1])).save(about, {}, {})\n"
    )
    done = subprocess.run([sys.executable, "-c", script, folder], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (store.numbers(), store.current()) == ([1], 1)
    assert [path.suffix for path in folder.glob(".*")] == left
    assert store.save(about(), ARRAYS, META) == 2
    assert list(folder.glob(".*")) == []


def test_the_lock_has_one_holder_and_ends_with_it(store: ModelStore, folder: Path) -> None:
    handle = store.lock()
    assert handle is not None
    assert ModelStore(folder).lock() is None
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"], pass_fds=(handle,)
    )
    os.close(handle)
    # It is the other process's now.
    assert store.lock() is None
    sleeper.kill()
    sleeper.wait()
    again = store.lock()
    assert again is not None
    os.close(again)
