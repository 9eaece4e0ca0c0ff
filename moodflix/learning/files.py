"""The files of learned models: numbered, written atomically, without pickle."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import AwareDatetime, BaseModel, Field

from moodflix import atomic
from moodflix.errors import MoodflixError

FORMAT: Final = 3
KEEP: Final = 8
_ABOUT, _META = "_about", "_meta"  # members of the file with JSON in them
_HITS: Final = ("hit10", "popularity_hit10")
_LIBRARIES: Final = ("numpy", "scipy", "scikit-learn")


class ModelFileError(MoodflixError):
    """A model file can't be read or written; the text names it and the reason."""


class OutdatedModelError(ModelFileError):
    """A model file was made by an older version; a new model must be trained."""


class ModelInfo(BaseModel, frozen=True, allow_inf_nan=False):
    """The metadata in a model file.

    Attributes:
        rows: choices it was learned from, those from ``first_id`` to ``last_id``.
        seconds: processor time that learning took.
        figures: of model and popularity on held-out rows; empty if there were too few rows.
        below_baseline: whether it did worse than popularity on them.
        fallback_for: if this model is popularity, the number of the model it replaces.
    """

    format: int = FORMAT
    made_at: AwareDatetime = Field(default_factory=lambda: datetime.now(timezone.utc))
    rows: int = Field(ge=1)
    first_id: int = Field(ge=1)
    last_id: int = Field(ge=1)
    seconds: float = Field(ge=0)
    figures: dict[str, float]
    below_baseline: bool = False
    fallback_for: int | None = None
    versions: dict[str, str] = Field(default_factory=lambda: {n: version(n) for n in _LIBRARIES})

    def summary(self, number: int) -> str:
        """Return one line with the number of choices and the hit rates."""
        line = f"model {number} learned {self.rows:,} choices"
        if not self.figures:
            return f"{line}, too few to hold some out"
        ours, theirs = (f"{100 * self.figures[name]:.1f} %" for name in _HITS)
        line += f"; hit@10 {ours} (popularity {theirs}) on {self.figures['rows']:,.0f} held out"
        return line + "; it does worse than popularity and is not used" * self.below_baseline


class ModelStore:
    """The numbered models in one folder; its file ``current`` names the one in use."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which is created at the first write."""
        self._folder = folder
        self._current = folder / "current"

    def state(self) -> tuple[int, int] | None:
        """Return a value that changes when a model is put in use; ``None`` while none is."""
        try:
            found = self._current.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def current(self) -> int | None:
        """Return the number of the model in use; 0, which no model has, if the file is damaged."""
        try:
            return int(self._current.read_text("ascii"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError):
            return 0

    def use(self, number: int) -> None:
        """Put a model in use, for every process and past a restart.

        Raises:
            ModelFileError: the folder can't be written.
        """
        self._write(self._current, lambda file: file.write(b"%d\n" % number))

    def numbers(self) -> list[int]:
        """Return the numbers of the models kept, oldest first."""
        stems = (path.stem for path in self._folder.glob("*.npz"))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def newest(self) -> ModelInfo | None:
        """Return the metadata of the newest readable file, in use or not."""
        for number in reversed(self.numbers()):
            try:
                return self.load(number, arrays=False)[0]
            except ModelFileError:
                continue
        return None

    def load(
        self, number: int, *, arrays: bool = True
    ) -> tuple[ModelInfo, dict[str, Any], dict[str, Any]]:
        """Return a file's metadata, its arrays and its other values.

        Raises:
            OutdatedModelError: the file is from an older version.
            ModelFileError: it is missing, damaged, foreign or from a newer version.
        """
        import numpy as np

        try:
            # Opened here: numpy leaves a damaged file open.
            with (
                self._path(number).open("rb") as source,
                np.load(source, allow_pickle=False) as file,
            ):
                content = json.loads(file[_ABOUT].tobytes())
                self._check_format(number, content["format"])
                about = ModelInfo.model_validate(content)
                if not arrays:
                    return about, {}, {}
                meta = json.loads(file[_META].tobytes())
                names = set(file.files) - {_ABOUT, _META}
                return about, {name: file[name] for name in names}, meta
        except ModelFileError:
            raise
        except FileNotFoundError as error:
            raise self.rejected(number, "there is no such file") from error
        except Exception as error:  # reading a damaged file may raise anything
            raise self.rejected(number, "damaged, or no model of this station") from error

    def rejected(self, number: int, why: str) -> ModelFileError:
        """Return the error for a file that can't be used."""
        return ModelFileError(f"{self._shown(number)} is refused: {why}")

    def _check_format(self, number: int, found: int) -> None:
        age = "a newer" if found > FORMAT else "an older"
        why = f"made by {age} version (format {found}, not {FORMAT})"
        if found > FORMAT:
            raise self.rejected(number, why)
        if found < FORMAT:
            raise OutdatedModelError(f"{self._shown(number)} is {why}")

    def save(self, about: ModelInfo, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> int:
        """Store a model, not in use yet, and return its number; the last ``KEEP`` others are kept.

        Raises:
            ModelFileError: the folder can't be written.
        """
        import numpy as np

        texts = {_ABOUT: about.model_dump_json(), _META: json.dumps(meta)}
        members: dict[str, Any] = dict(arrays)
        members |= {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}
        number = max((*self.numbers(), self.current() or 0)) + 1
        for left_over in self._folder.glob(".*.tmp"):
            left_over.unlink(missing_ok=True)
        self._write(self._path(number), lambda file: np.savez_compressed(file, **members))
        for old in set(self.numbers()[: -KEEP - 1]) - {self.current()}:
            self._path(old).unlink(missing_ok=True)
        return number

    def copy_to(self, folder: Path) -> None:
        """Copy the models to another folder, and which is in use; others may be saved meanwhile.

        Raises:
            OSError: one can't be read or written.
        """
        other = ModelStore(folder)
        folder.mkdir()
        while True:
            current = self.current()
            for number in {*self.numbers()} - {*other.numbers()}:
                with suppress(FileNotFoundError):  # it is no longer among those kept
                    shutil.copyfile(self._path(number), other._path(number))
            if current == self.current():
                break
        if current:
            other.use(current)

    def lock(self) -> int | None:
        """Lock training and return the open lock file, or ``None`` if it is locked already.

        The lock ends when the last process that has the file open closes it or dies.

        Raises:
            ModelFileError: the folder can't be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
        except OSError as error:
            raise ModelFileError(
                f"{self._folder.name}/ can't be written: {error.strerror}"
            ) from error
        return handle

    def _shown(self, number: int) -> str:
        return f"{self._folder.name}/{self._path(number).name}"

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.npz"

    def _write(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        """Write a file that is there only once it is whole."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic.replacing(path) as file:
                write(file)
        except OSError as error:
            raise ModelFileError(
                f"{self._folder.name}/ can't be written: {error.strerror}"
            ) from error
