"""The dashboard's sums without triggers; a choice dated ahead counts by when it was received.

The new tables are empty: ``moodflix.store.migration`` fills them in the same transaction.
"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TRIGGERS = [
    f"{table}_{event}_{name}"
    for table in ("logs", "answers", "answer_picks")
    for event in ("insert", "delete")
    for name in ("own", "before", "after")
]
_MAX_AHEAD = timedelta(days=1)


def upgrade() -> None:
    """Apply."""
    if op.get_context().dialect.name == "sqlite":
        for trigger in _TRIGGERS:
            op.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for table in ("film_tallies", "tallies"):
        op.drop_table(table, if_exists=True)
    op.create_table(
        "tallies",
        sa.Column("measure", sa.String(20), nullable=False),
        sa.Column("a", sa.String(200), nullable=False),
        sa.Column("b", sa.String(200), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("measure", "a", "b", "day", name="pk_tallies"),
    )
    op.create_table(
        "film_tallies",
        sa.Column("mood", sa.String(200), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        *(sa.Column(f"to_{third:02}", sa.Integer(), nullable=False) for third in range(1, 37)),
        sa.PrimaryKeyConstraint("mood", "film_key", "year", name="pk_film_tallies"),
    )
    if not context.is_offline_mode():
        _correct_clocks()


def _correct_clocks() -> None:
    times = [sa.column(name, sa.DateTime()) for name in ("event_at", "received_at")]
    logs = sa.table("logs", sa.column("id"), *times)
    ahead = sa.select(logs).where(logs.c.event_at > logs.c.received_at)
    for row_id, event_at, received_at in op.get_bind().execute(ahead).all():
        if event_at - received_at > _MAX_AHEAD:
            op.execute(sa.update(logs).where(logs.c.id == row_id).values(event_at=received_at))


def downgrade() -> None:
    """Undo, but without the triggers of 0007: going back needs a copy of the database."""
    for table in ("film_tallies", "tallies"):
        op.drop_table(table)
