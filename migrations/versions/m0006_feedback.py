"""What visitors say of films."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "feedback",
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("film_key", sa.String(300), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("answer_id", sa.String(32), nullable=True),
        sa.Column("said_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name="fk_feedback_answer_id"),
        sa.PrimaryKeyConstraint("visitor", "film_key", name="pk_feedback"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("feedback")
