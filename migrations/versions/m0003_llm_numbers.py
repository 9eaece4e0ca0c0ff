"""What each answer of the LLM cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("answers") as batch:
        batch.add_column(sa.Column("llm_numbers", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("answers") as batch:
        batch.drop_column("llm_numbers")
