"""Keys of saved choices: a client that got no answer sends its choice again with the same key."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from sqlalchemy import Connection, delete, insert, select

from moodflix.errors import FieldProblem, InvalidInputError
from moodflix.requests import IDEMPOTENCY_KEY
from moodflix.store.models import SavedRequest
from moodflix.store.writer import Work

# How long a key is kept.
KEEP = timedelta(days=1)


def once(work: Work, key: str, content: str, now: datetime) -> Work:
    """Return what does ``work`` unless it is done already with that key and content.

    It raises an InvalidInputError if the key came with other content.
    """
    digest = blake2b(content.encode(), digest_size=16).hexdigest()

    def unless_done(connection: Connection) -> None:
        connection.execute(delete(SavedRequest).where(SavedRequest.saved_at < now - KEEP))
        found = connection.scalar(select(SavedRequest.digest).where(SavedRequest.key == key))
        if found is None:
            new = {"key": key, "digest": digest, "saved_at": now}
            connection.execute(insert(SavedRequest), new)
            work(connection)
        elif found != digest:
            raise InvalidInputError.of(FieldProblem(IDEMPOTENCY_KEY, "was used for another choice"))

    return unless_done
