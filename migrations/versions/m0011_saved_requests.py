"""Keys of saved choices, so that one that is sent again is saved once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "saved_requests",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("saved_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_saved_requests"),
    )
    op.create_index("ix_saved_requests_saved_at", "saved_requests", ["saved_at"])


def downgrade() -> None:
    """Take back: a choice that is sent again is saved again."""
    op.drop_table("saved_requests")
