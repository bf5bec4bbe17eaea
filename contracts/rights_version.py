"""Where the identity service leaves the version of rights for every reader to compare: one key in Redis, held by a lease.

A change of rights is obeyed at the next request because the version is written here before the administrator's call returns. What
is in Redis may be lost or restored from an old copy, so the identity service renews the key from its database and the key dies
with the lease: where there is no key, ask the identity service.
"""

from __future__ import annotations

RIGHTS_VERSION_KEY = "identity:rights_version"
"""Decimal text; only ever raised while it lives."""

LEASE_SECONDS = 30
"""How long the key outlives its last renewal: the longest that an old copy of Redis could mislead readers."""
