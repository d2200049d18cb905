"""Figures of conversations, and an index of candidates by period."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Conversations stored before have no figures until they are screened again."""
    op.create_table(
        "measures",
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("vendor_id", sa.String(length=200), nullable=True),
        sa.Column("agent_id", sa.String(length=200), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("rating", sa.String(length=40), nullable=True),
        sa.Column("solved", sa.Boolean(), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=True),
        sa.Column("queue_seconds", sa.Double(), nullable=True),
        sa.Column("first_seconds", sa.Double(), nullable=True),
        sa.Column("mean_seconds", sa.Double(), nullable=True),
        sa.CheckConstraint("rating IN ('satisfied', 'neutral', 'dissatisfied')", name=op.f("ck_measures_rating")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_measures_conversation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("conversation_id", name=op.f("pk_measures")),
    )
    op.create_index(op.f("ix_measures_occurred_at_vendor_id"), "measures", ["occurred_at", "vendor_id"])
    op.create_index(op.f("ix_measures_vendor_id_occurred_at"), "measures", ["vendor_id", "occurred_at"])
    op.create_index(
        "ix_candidates_period",
        "candidates",
        [
            *("occurred_at", "status", "level", "decided_level", "decided_verdict", "channel", "vendor_id", "agent_id"),
            *("standard", "clause"),
        ],
    )
