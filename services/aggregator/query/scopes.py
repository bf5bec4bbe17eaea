"""Scopes as they come with each question, kept by their digest: sorting names again for every request would cost most of it."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from contracts.questions import digest_of
from contracts.scope import Scope
from services.aggregator.query.errors import MalformedQuestionError, UnknownScopeError
from services.aggregator.query.lines import ScopedLines

KEPT = 64
"""Scopes remembered: one per reader who is asking now; a thousand establishments take about 2 MB."""


class Scopes:
    """The last scopes seen, by digest. Equal bytes are an equal scope, so nothing here can outlive a right."""

    def __init__(self, kept: int = KEPT) -> None:
        self._decoder = msgspec.json.Decoder(Scope)
        self._known: OrderedDict[str, ScopedLines] = OrderedDict()
        self._kept = kept

    def lines_of(self, scope: msgspec.Raw | msgspec.UnsetType, digest: str = "") -> ScopedLines:
        """The lines of a scope given as JSON, or of one seen before, by its digest.

        `MalformedQuestionError` when it is none, `UnknownScopeError` when the digest tells nothing.
        """
        key = digest if scope is msgspec.UNSET else digest_of(scope)
        lines = self._known.get(key)
        if lines is None:
            if scope is msgspec.UNSET:
                raise UnknownScopeError
            lines = self._known[key] = ScopedLines(self._decode(scope), key)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return lines

    def _decode(self, scope: msgspec.Raw) -> Scope:
        try:
            return self._decoder.decode(scope)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedQuestionError(f"scope: {error}") from error
