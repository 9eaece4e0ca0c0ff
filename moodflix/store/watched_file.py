"""Notices that the file at a path is no longer the one that was opened."""

from __future__ import annotations

from pathlib import Path

from moodflix.errors import DatabaseUnavailableError

_GONE = "the database file is gone; put it back, or restore a backup and start the station again"
_ANOTHER = "the database file is another one than at the start; start the station again"


class WatchedFile:
    """A file known by device and inode since it was first opened."""

    def __init__(self, path: Path | None) -> None:
        """Watch ``path``; ``None`` is a database without a file, of which nothing is noticed."""
        self._path = path
        self._known: tuple[int, int] | None = None

    def note_opened(self) -> None:
        """Remember the file if it is the first opened, else require that it is still the same.

        Raises:
            DatabaseUnavailableError: it isn't.
        """
        if self._known is None:
            self._known = self._found()
        self.require_same()

    def require_same(self) -> None:
        """Check that the file at the path is the one first opened, if any was.

        Raises:
            DatabaseUnavailableError: it isn't; the text says what to do.
        """
        if self._known is not None and (found := self._found()) != self._known:
            raise DatabaseUnavailableError(_GONE if found is None else _ANOTHER)

    def _found(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return self._known  # what is wrong shows when it is used
        return found.st_dev, found.st_ino
