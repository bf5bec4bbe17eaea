"""Spans of the ingestion, linked to the traces of the agents whose messages are in a batch; nothing is done where nobody listens."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.trace import Link
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.aggregator.vouching import Record

TRACEPARENT = "traceparent"
LINKS_AT_MOST = 64
"""A batch of four thousand messages is told by some of them: exporters drop what is past 128."""

tracer = trace.get_tracer("services.aggregator")
_propagator = TraceContextTextMapPropagator()


def links(records: Iterable[Record]) -> list[Link]:
    """To the traces that the messages carry, each once; none without a listener."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return []
    headers: dict[str, None] = {}
    for record in records:
        if value := dict(record.headers).get(TRACEPARENT):
            headers[value.decode("ascii", "replace")] = None
        if len(headers) == LINKS_AT_MOST:
            break
    contexts = (trace.get_current_span(_propagator.extract({TRACEPARENT: value})) for value in headers)
    return [Link(span.get_span_context()) for span in contexts if span.get_span_context().is_valid]
