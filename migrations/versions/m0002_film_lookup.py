"""How films begin and end: where look-ups seek the misspelt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for column in ("head", "tail"):
        op.add_column("films", sa.Column(column, sa.String(3), nullable=True))
    op.execute(
        "UPDATE films SET head = substr(key, 1, 3),"
        " tail = CASE WHEN length(key) > 3 THEN substr(key, length(key) - 2) ELSE key END"
    )
    with op.batch_alter_table("films") as films:
        for column in ("head", "tail"):
            films.alter_column(column, existing_type=sa.String(3), nullable=False)
            films.create_index(f"ix_films_{column}_year", [column, "year"])


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("films") as films:
        for column in ("head", "tail"):
            films.drop_index(f"ix_films_{column}_year")
            films.drop_column(column)
