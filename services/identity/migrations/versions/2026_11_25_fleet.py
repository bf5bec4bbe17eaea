"""Invitations, last hellos and orders to send again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2026_11_25_fleet"
down_revision = "2026_11_23_registry"


def upgrade() -> None:
    op.execute("set local lock_timeout = '10s'")
    _order_again()
    _create_invitations()
    _create_hellos()


def _order_again() -> None:
    op.add_column(
        "agents", sa.Column("resend_id", sa.BigInteger(), server_default="0", nullable=False), schema="identity"
    )
    op.add_column("agents", sa.Column("resend_since", sa.Date(), nullable=True), schema="identity")


def _create_invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("grants", postgresql.JSONB(), nullable=False),
        sa.Column("overlap", sa.Interval(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["agent"], ["identity.agents.id"], name="invitations_agent_fkey"),
        sa.PrimaryKeyConstraint("id", name="invitations_pkey"),
        sa.UniqueConstraint("digest", name="invitations_digest_key"),
        schema="identity",
    )
    op.create_index("invitations_agent_idx", "invitations", ["agent"], unique=False, schema="identity")


def _create_hellos() -> None:
    op.create_table(
        "hellos",
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("catalogue", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("problems", sa.BigInteger(), nullable=False),
        sa.Column("other_state_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent"], ["identity.agents.id"], name="hellos_agent_fkey"),
        sa.PrimaryKeyConstraint("agent", name="hellos_pkey"),
        schema="identity",
    )
