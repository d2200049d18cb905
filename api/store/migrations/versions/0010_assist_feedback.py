"""What desks made of verdicts on drafts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLE = "assist_feedback"


def upgrade() -> None:
    """The table, and triggers that refuse to change its rows."""
    op.create_table(
        _TABLE,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("check_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("vendor_id", sa.String(length=200), nullable=True),
        sa.Column("agent_id", sa.String(length=200), nullable=True),
        sa.Column("conversation", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.String(length=40), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=True),
        sa.Column("note", sa.String(length=4000), nullable=True),
        sa.Column("conversation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("outcome IN ('accepted', 'overridden', 'dismissed')", name=op.f("ck_assist_feedback_outcome")),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_assist_feedback_conversation_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assist_feedback")),
        sa.UniqueConstraint("check_id", "outcome", name=op.f("uq_assist_feedback_check_id_outcome")),
    )
    op.create_index(op.f("ix_assist_feedback_at"), _TABLE, ["at"], unique=False)
    op.create_index(op.f("ix_assist_feedback_vendor_id_id"), _TABLE, ["vendor_id", "id"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {_TABLE}_no_{verb.lower()} BEFORE {verb} ON {_TABLE} "
                f"BEGIN SELECT RAISE(ABORT, '{_TABLE}: rows are only added'); END"
            )
    else:
        op.execute(
            f"CREATE TRIGGER {_TABLE}_added_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {_TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION rows_are_only_added()"
        )
