"""Tables of the schema `identity`. Migrations are compared with them by a test."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "identity"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)

territories = Table(
    "territories",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("threshold", Integer, nullable=False, server_default="5"),
    CheckConstraint("threshold >= 5", name="threshold"),
)

establishments = Table(
    "establishments",
    metadata,
    Column("uai", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("postal_codes", ARRAY(Text), nullable=False, server_default="{}"),
    Column("opened", Date),
    Column("closed", Date),
    CheckConstraint("opened <= closed", name="dates"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("territory", Text, ForeignKey(territories.c.id), primary_key=True),
    Column("uai", Text, ForeignKey(establishments.c.uai), primary_key=True),
    Index(None, "uai"),
)
"""Establishments of each territory, with a convention or without: a school has a commune, an EPCI, a département, a région."""

conventions = Table(
    "conventions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("territory", Text, ForeignKey(territories.c.id), nullable=False),
    Column("uai", Text, ForeignKey(establishments.c.uai), nullable=False),
    Column("kind", Text, nullable=False),
    Column("valid_from", DateTime(timezone=True)),
    Column("valid_to", DateTime(timezone=True)),
    CheckConstraint("kind in ('consent', 'joint')", name="kind"),
    CheckConstraint("valid_from <= valid_to", name="dates"),
    Index(None, "territory", "uai"),
    Index(None, "uai"),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("resend_id", BigInteger, nullable=False, server_default="0"),
    Column("resend_since", Date),
)
"""`resend_*`: the last order to send kept periods again; its number grows, 0 before the first."""

agent_keys = Table(
    "agent_keys",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("agent", Text, ForeignKey(agents.c.id), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("valid_from", DateTime(timezone=True)),
    Column("valid_to", DateTime(timezone=True)),
    CheckConstraint("valid_from <= valid_to", name="dates"),
    UniqueConstraint("agent", "public_key"),
)

grants = Table(
    "grants",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("agent", Text, ForeignKey(agents.c.id), nullable=False),
    Column("uai", Text, ForeignKey(establishments.c.uai), nullable=False),
    Column("family", Text, nullable=False),
    Column("from_day", Date),
    Column("to_day", Date),
    CheckConstraint("from_day <= to_day", name="dates"),
    UniqueConstraint("uai", "family", "agent", "from_day", "to_day", postgresql_nulls_not_distinct=True),
)
"""Overlaps of one (uai, family) are refused by the service, which holds the row of `rights_version` while it changes anything."""

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agent", Text, ForeignKey(agents.c.id), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("grants", JSONB, nullable=False),
    Column("overlap", Interval, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("used_at", DateTime(timezone=True)),
    Column("public_key", Text),
    Index(None, "agent"),
)
"""Codes by which an agent enrols once: only the SHA-256 is kept (a code has 125 bits of chance in it). `public_key` has used it."""

hellos = Table(
    "hellos",
    metadata,
    Column("agent", Text, ForeignKey(agents.c.id), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("version", Text, nullable=False),
    Column("catalogue", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("problems", BigInteger, nullable=False),
    Column("other_state_at", DateTime(timezone=True)),
)
"""The last hello of each agent, by the platform's clock and its own; `other_state_at`: when another state file last spoke for it."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("territory", Text, ForeignKey(territories.c.id), nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("label", Text, nullable=False, server_default=""),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)
"""Operators' tokens: only the SHA-256 is kept. A token has 256 bits of chance in it, so a slow hash would add nothing."""

rights_version = Table(
    "rights_version",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default=true()),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("only_row", name="single"),
)
"""One row: each change raises it first, so that changes take turns and readers compare one number."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Messages of `identity.changed.v1` that are committed and not yet published; a row goes once Kafka has acknowledged it."""
