"""The traits of films leave the table: the catalogue ranks by its own data files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LISTS = ("countries", "genres", "moods", "themes")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("films") as films:
        for column in (*_LISTS, "tone"):
            films.drop_column(column)


def downgrade() -> None:
    """Take back; ``flask db upgrade`` of that version fills the columns."""
    with op.batch_alter_table("films") as films:
        for column in _LISTS:
            films.add_column(sa.Column(column, sa.JSON(), nullable=False, server_default="[]"))
        films.add_column(sa.Column("tone", sa.String(200), nullable=False, server_default=""))
