"""The registry's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_23_registry"
down_revision = None


def upgrade() -> None:
    _create_places()
    _create_conventions()
    _create_agents()
    _create_tokens()


def _create_places() -> None:
    op.create_table(
        "territories",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Integer(), server_default="5", nullable=False),
        sa.CheckConstraint("threshold >= 5", name="territories_threshold_check"),
        sa.PrimaryKeyConstraint("id", name="territories_pkey"),
        schema="identity",
    )
    op.create_table(
        "establishments",
        sa.Column("uai", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("postal_codes", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("opened", sa.Date(), nullable=True),
        sa.Column("closed", sa.Date(), nullable=True),
        sa.CheckConstraint("opened <= closed", name="establishments_dates_check"),
        sa.PrimaryKeyConstraint("uai", name="establishments_pkey"),
        schema="identity",
    )


def _create_conventions() -> None:
    op.create_table(
        "conventions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("territory", sa.Text(), nullable=False),
        sa.Column("uai", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('consent', 'joint')", name="conventions_kind_check"),
        sa.CheckConstraint("valid_from <= valid_to", name="conventions_dates_check"),
        sa.ForeignKeyConstraint(["territory"], ["identity.territories.id"], name="conventions_territory_fkey"),
        sa.ForeignKeyConstraint(["uai"], ["identity.establishments.uai"], name="conventions_uai_fkey"),
        sa.PrimaryKeyConstraint("id", name="conventions_pkey"),
        schema="identity",
    )
    op.create_index(
        "conventions_territory_uai_idx", "conventions", ["territory", "uai"], unique=False, schema="identity"
    )
    op.create_index("conventions_uai_idx", "conventions", ["uai"], unique=False, schema="identity")


def _create_agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="agents_pkey"),
        schema="identity",
    )
    op.create_table(
        "agent_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("valid_from <= valid_to", name="agent_keys_dates_check"),
        sa.ForeignKeyConstraint(["agent"], ["identity.agents.id"], name="agent_keys_agent_fkey"),
        sa.PrimaryKeyConstraint("id", name="agent_keys_pkey"),
        sa.UniqueConstraint("agent", "public_key", name="agent_keys_agent_public_key_key"),
        schema="identity",
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("uai", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=True),
        sa.Column("to_day", sa.Date(), nullable=True),
        sa.CheckConstraint("from_day <= to_day", name="grants_dates_check"),
        sa.ForeignKeyConstraint(["agent"], ["identity.agents.id"], name="grants_agent_fkey"),
        sa.ForeignKeyConstraint(["uai"], ["identity.establishments.uai"], name="grants_uai_fkey"),
        sa.PrimaryKeyConstraint("id", name="grants_pkey"),
        sa.UniqueConstraint(
            "uai",
            "family",
            "agent",
            "from_day",
            "to_day",
            name="grants_uai_family_agent_from_day_to_day_key",
            postgresql_nulls_not_distinct=True,
        ),
        schema="identity",
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("territory", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["territory"], ["identity.territories.id"], name="tokens_territory_fkey"),
        sa.PrimaryKeyConstraint("id", name="tokens_pkey"),
        sa.UniqueConstraint("digest", name="tokens_digest_key"),
        schema="identity",
    )
    op.create_table(
        "rights_version",
        sa.Column("only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("only_row", name="rights_version_single_check"),
        sa.PrimaryKeyConstraint("only_row", name="rights_version_pkey"),
        schema="identity",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
        schema="identity",
    )
