"""Schema `usage`: states as agents report them, sheets folded from them, what waits and what was refused.

Packed columns are `contracts.packed`, and `bundle` for all reports of a period. They are stored without pglz (STORAGE EXTERNAL)
and in the row's page up to 8,160 bytes (toast_tuple_target), because unpacking is what every read does. Not partitioned: grain
and period would be the keys (purges would become DROP), once one table no longer fits one machine's memory.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

from contracts.catalogue import GRAINS

SCHEMA = "usage"
HOUR, DAY, MONTH, SCHOOL_YEAR = range(len(GRAINS))
"""Numbers of the grains, as the columns `grain` hold them; families are held by their catalogue number."""

metadata = MetaData(schema=SCHEMA)

agents = Table(
    "agents",
    metadata,
    Column("number", Integer, Identity(always=True), primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    comment="Short numbers of the agents, so that a report's key stays small.",
)

bundles = Table(
    "bundles",
    metadata,
    Column("uai", Text(collation="C"), primary_key=True),
    Column("grain", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", Date, primary_key=True),
    Column("families", BigInteger, nullable=False),
    Column("reports", LargeBinary, nullable=False),
    comment="All reports of one establishment and period, packed; of hours those of a UTC day. `families`: bit n = family number n.",
)

restatements = Table(
    "restatements",
    metadata,
    Column("agent", Integer, primary_key=True, autoincrement=False),
    Column("uai", Text(collation="C"), primary_key=True),
    Column("family", SmallInteger, primary_key=True, autoincrement=False),
    Column("highest", BigInteger, nullable=False),
    comment="How far each agent has restated: what it is told at hello, kept even when the reports themselves are past their time.",
)

sheets = Table(
    "sheets",
    metadata,
    Column("uai", Text(collation="C"), primary_key=True),
    Column("grain", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", Date, primary_key=True),
    Column("cells", LargeBinary, nullable=False),
    Column("folded", LargeBinary, nullable=False),
    Column("cut_families", BigInteger, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("frozen", Boolean, nullable=False),
    comment="One day, month or school year of an establishment, all families. `cut_families`: bit n = family number n.",
)
"""`cells` is what readers read. `folded` is the sum of the finer sheets' cells, empty for days: with it a changed day is
added to its month by difference, without reading the other days. Zero counts are left out, except those of censuses."""

Index("sheets_by_period", sheets.c.grain, sheets.c.start, sheets.c.uai)

parked = Table(
    "parked",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("uai", Text(collation="C"), primary_key=True),
    Column("family", Text, primary_key=True),
    Column("grain", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", Text, primary_key=True),
    Column("cause", Text, nullable=False),
    Column("catalogue", Integer, nullable=False),
    Column("restatement", BigInteger, nullable=False),
    Column("cut", Boolean, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("parked_at", DateTime(timezone=True), nullable=False),
    Column("cells", LargeBinary, nullable=False),
    comment="Reports that a grant or an upgrade may still let in; merged like reports, kept 35 days. `start` as reported.",
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("agent", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("cause", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    comment="What became of each agent's reports; '' gathers senders that no key vouches for. Redeliveries count again.",
)

cells = Table(
    "cells",
    metadata,
    Column("code", Integer, primary_key=True, autoincrement=False),
    Column("family", Text, nullable=False),
    Column("measure", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("access", Text, nullable=False),
    Column("level", Text, nullable=False),
    comment="Names of the catalogue's cells, written again at each start, for operators who read rows.",
)

views = MetaData(schema=SCHEMA)
"""The same reports one row each, for operators and for reads of a few: views over `bundles`."""

reports = Table(
    "reports",
    views,
    Column("uai", Text(collation="C"), primary_key=True),
    Column("family", SmallInteger, primary_key=True, autoincrement=False),
    Column("grain", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", Date, primary_key=True),
    Column("agent", Integer, primary_key=True, autoincrement=False),
    Column("restatement", BigInteger, nullable=False),
    Column("cut", Boolean, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("cells", LargeBinary, nullable=False),
)

hours = Table(
    "hours",
    views,
    Column("uai", Text(collation="C"), primary_key=True),
    Column("family", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", DateTime(timezone=True), primary_key=True),
    Column("agent", Integer, primary_key=True, autoincrement=False),
    Column("restatement", BigInteger, nullable=False),
    Column("cut", Boolean, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("cells", LargeBinary, nullable=False),
)
