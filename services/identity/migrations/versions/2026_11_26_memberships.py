"""Establishments belong to territories, whether a convention ties them or not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2026_11_26_memberships"
down_revision = "2026_11_25_fleet"


def upgrade() -> None:
    op.execute("set local lock_timeout = '10s'")
    op.create_table(
        "memberships",
        sa.Column("territory", sa.Text(), nullable=False),
        sa.Column("uai", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["territory"], ["identity.territories.id"], name="memberships_territory_fkey"),
        sa.ForeignKeyConstraint(["uai"], ["identity.establishments.uai"], name="memberships_uai_fkey"),
        sa.PrimaryKeyConstraint("territory", "uai", name="memberships_pkey"),
        schema="identity",
    )
    op.create_index("memberships_uai_idx", "memberships", ["uai"], unique=False, schema="identity")
    op.execute("insert into identity.memberships select distinct territory, uai from identity.conventions")
