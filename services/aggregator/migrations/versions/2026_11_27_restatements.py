"""The highest restatement of each agent, establishment and family, so that a hello is answered without reading every bundle."""

from __future__ import annotations

from alembic import op

revision = "2026_11_27_restatements"
down_revision = "2026_11_26_bundles"

LOCK_TIMEOUT = "set local lock_timeout = '10s'"

TABLE = """
create table usage.restatements (
    agent integer not null,
    uai text collate "C" not null,
    family smallint not null,
    highest bigint not null,
    primary key (agent, uai, family)
)
"""
COMMENT = """
comment on table usage.restatements is
    'How far each agent has restated: what it is told at hello, kept even when the reports themselves are past their time.'
"""
FILL = """
insert into usage.restatements (agent, uai, family, highest)
select report.agent, bundles.uai, report.family, max(report.restatement)
from usage.bundles, usage.unbundle(bundles.reports) as report
where get_byte(bundles.reports, 0) = 1 and report.restatement > 0
group by report.agent, bundles.uai, report.family
"""
"""Only wide bundles, told by their first byte, hold restated reports."""


def upgrade() -> None:
    op.execute(LOCK_TIMEOUT)
    op.execute("lock table usage.bundles in exclusive mode")  # what older replicas merge meanwhile waits
    op.execute(TABLE)
    op.execute(COMMENT)
    op.execute(FILL)
