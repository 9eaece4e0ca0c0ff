"""All SQL about the imports of logs: which rows each added, and taking the last one back."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ScalarSelect, delete, false, func, select, update
from sqlalchemy.orm import Session

from moodflix.store import sums
from moodflix.store.models import LogEntry, LogImport


def newest_id(session: Session) -> int:
    """Return the id of the newest choice; none is added until the transaction ends."""
    # Takes the write lock before reading: from an older snapshot SQLite would refuse to write.
    session.execute(update(LogEntry).where(false()).values(film_key=""))
    return session.scalar(select(func.max(LogEntry.id))) or 0


def record(session: Session, imported_at: datetime, newest_before: int) -> None:
    """Record that an import added choices after the newest one before it."""
    is_new = (LogEntry.id > newest_before, LogEntry.received_at == imported_at)
    ids = select(func.min(LogEntry.id), func.max(LogEntry.id)).where(*is_new)
    first, last = session.execute(ids).one()
    if first is not None:
        session.add(
            LogImport(imported_at=imported_at, first_log_id=first, last_log_id=last, undone=False)
        )


def undone() -> ScalarSelect[int]:
    """Return the query for the number of imports that were taken back."""
    imports = select(func.count()).select_from(LogImport).where(LogImport.undone)
    return imports.scalar_subquery()


def undo_last(session: Session) -> tuple[datetime, int] | None:
    """Delete the choices that the last import added, and correct the sums.

    Returns:
        When it was and how many were deleted; ``None`` if there is no import left.
    """
    newest_id(session)
    imports = select(LogImport).where(~LogImport.undone).order_by(LogImport.id.desc()).limit(1)
    last = session.scalars(imports).first()
    if last is None:
        return None
    last.undone = True
    in_range = LogEntry.id.between(last.first_log_id, last.last_log_id)
    # Where ids were used again, the choices of others have other moments.
    is_of_import = LogEntry.received_at == last.imported_at
    count = session.scalar(select(func.count(LogEntry.id)).where(in_range, is_of_import)) or 0
    session.execute(delete(LogEntry).where(in_range, is_of_import))
    sums.rebuild(session)
    return last.imported_at, count
