"""Names of what is counted per agent (table usage.outcomes, GET /internal/counters), each with its unit and what a rise means."""

from __future__ import annotations

ACCEPTED = "accepted"
LOWER_RESTATEMENT = "lower_restatement"
PARKED = "parked"
REFUSED = "refused"
EXPIRED = "expired"
FLAGGED = "flagged"
DEAD_LETTERED = "dead_lettered"

MEANINGS = {
    ACCEPTED: "reports merged; the pulse of an agent: it should rise with each publication",
    LOWER_RESTATEMENT: "reports older than a restatement already known; a rise: a second copy of an agent, or an old disk restored",
    PARKED: "reports waiting, by cause: outside_grants (add the grant, or correct the agent), newer_catalogue (upgrade the platform)",
    REFUSED: "messages of no establishment or convention in force; reports beyond 25 h ahead (future), of a frozen sheet (frozen), or "
    "of a newer catalogue when too many of the agent wait already (parked_full: upgrade the platform)",
    EXPIRED: "reports older than their grain is kept, by grain; a rise: an agent reads old files again",
    FLAGGED: "reports accepted with a remark: skew = they start in the future, so the agent's clock is ahead",
    DEAD_LETTERED: "messages that can never be merged, by cause; see `territoriale dlq list`. Those of a quarantined agent too",
}
"""Redelivered messages are counted again: these are for operators, never for figures."""

FLUSH, JUDGE, READ, MERGE, WRITE, COMMIT = (
    f"aggregator.{step}" for step in ("flush", "judge", "read", "merge", "write", "commit")
)
"""Spans. `judge`: signatures and admission of a batch; `flush`: its writing, made of the last four, once for each thousand
establishments: locks and what is stored, merge and fold, statements, commit. Both link to the traces of the messages in them. A
longer `read` means a lock is waited for; a longer `commit`, a slow disk."""
