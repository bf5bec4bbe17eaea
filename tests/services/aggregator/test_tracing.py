"""Spans of a batch lead to the agents' own traces, and cost nothing where nobody listens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from services.aggregator.tracing import LINKS_AT_MOST, links

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-%016x-01"


def _record(value: bytes | None) -> SimpleNamespace:
    return SimpleNamespace(headers=[("agent", b"agent-1"), ("traceparent", value)])


def test_without_a_listener_headers_are_not_even_read():
    assert links([SimpleNamespace()]) == []


def test_a_batch_links_to_each_trace_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trace, "get_tracer_provider", TracerProvider)
    records = [_record(PARENT % 1), _record(PARENT % 1), _record(b"\xff no trace"), _record(None), _record(PARENT % 2)]
    assert [link.context.span_id for link in links(records)] == [1, 2]
    many = [_record(PARENT % n) for n in range(1, LINKS_AT_MOST + 10)]
    assert len(links(many)) == LINKS_AT_MOST
