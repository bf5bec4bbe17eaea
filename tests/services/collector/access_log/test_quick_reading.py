"""What makes reading quick changes nothing: beside a reading that takes no short cut, on real lines and on damaged ones."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.collector.access_log import AccessLog, Establishment, Fact, SetAside
from services.collector.access_log.formats import BOM
from services.collector.access_log.stamps import instant_of, of_combined
from tests.services.collector.access_log.reading import HOST, NOW, SECRET, START, UAI
from tests.support.access_logs import IIS_HEADER, Hit, Site, combined, host_first, iis, nginx_json, traffic

SITES = [Site(UAI, HOST), Site("0750002V", "0750002v.index-education.net", cas=False)]
ESTABLISHMENTS = [Establishment(UAI, (HOST,)), Establishment("0750002V", cas=False)]
FORMS = (combined, host_first, nginx_json, iis)
PIECES = (
    b'"', b"\\", b'\\"', b"\\x22", b" ", b"  ", b"\t", b"\r", b"\x00", b"\xff", b"?", b"/", b"//", b"[", b"] ", b"-", b"{", b".html",
    b"GET ", b"POST ", b"appelfonction", b"/appelpolling/3/7/a", b"/eleve.html", b" 200 5 ", b'" 200 5 "-" "', b"\xef\xbb\xbf", b":",
    b"99999", b"#Fields: ", b"\xc3\xa9", b"2000", b"+0200", b"/uploadfilesession/3/7",
)  # fmt: skip


class PlainLog(AccessLog):
    """The same log, each line looked at with patterns only, all of it, and nothing remembered from one to the next."""

    def read(self, lines: Iterable[bytes], *, file: str, now: float) -> list[Fact]:
        facts: list[Fact] = []
        furthest = int(now) + 86_400
        for line in lines:
            front, quoted, rest = line.partition(b'"')
            at = of_combined(front[-28:-2]) if quoted and front.endswith(b"] ") else None
            request = rest.partition(b'"')[0] if at is not None else line
            if self._names_something(request, alone=at is not None):
                at = self._take(line, None, file, furthest, facts)
            elif at is None and (bare := line.removeprefix(BOM).strip()).startswith(b"#"):
                self._direct(bare, file)
            elif at is None and bare:
                at = instant_of(bare)
                if at is None and not self._read(line, file):
                    facts.append(SetAside("unreadable"))
            if at is not None and self._newest < at <= furthest:
                self._newest = at
            self._understand(self._newest - 60, facts)
        return facts

    def _names_something(self, request: bytes, *, alone: bool) -> bool:
        """A page, or something like a call; in the request alone, where it is known, a call is no GET."""
        if re.search(rb"/(?:mobile\.)?(?:direction|professeur|viescolaire|parent|accompagnant|eleve)\.html", request):
            return True
        if re.search(rb"/(?:mobile\.)?(?:entreprise|academie|inscription)\.html", request):
            return True
        return not (alone and request.startswith(b"GET ")) and bool(re.search(rb"/(?:appel|uploa)", request))


def told(log: AccessLog, lines: list[bytes]) -> tuple[list[Fact], bytes, dict[str, tuple[int, int]], list[Fact]]:
    """All that a reading leaves: facts, state, first and last instants by establishment, and the facts of the end."""
    facts = log.read(lines, file="a", now=NOW.timestamp())
    return facts, log.state(), log.accepted, log.flush()


def drawn(seed: int) -> list[Hit]:
    return traffic(seed, SITES, START, START + timedelta(hours=3), visits=8)[0]


def damaged(line: bytes, draw: random.Random) -> bytes:
    """A line cut, doubled, or with pieces put in or over what stood there."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        place, length = draw.randrange(len(line) + 1), draw.choice((0, 0, 1, 1, 5))
        put = draw.choice((*PIECES, b"", bytes([draw.randrange(256)])))
        line = line[:place] + put + line[place + length :]
    kind = draw.randrange(20)
    return line[: draw.randrange(len(line) + 1)] if kind == 0 else line + line if kind == 1 else line


@given(seed=st.integers(0, 2**32), told_first=st.booleans(), harm=st.sampled_from([0.0, 0.2, 1.0]))
def test_a_reading_without_short_cuts_says_the_same(seed: int, told_first: bool, harm: float) -> None:
    draw = random.Random(seed)
    forms = draw.sample(FORMS, draw.choice((1, 1, len(FORMS))))
    written = [draw.choice(forms)(hit) for hit in drawn(seed)]
    lines = [damaged(line, draw) if draw.random() < harm else line for line in written]
    quick, plain = (kind(ESTABLISHMENTS, SECRET, host_first=told_first) for kind in (AccessLog, PlainLog))
    assert told(quick, [*IIS_HEADER, *lines]) == told(plain, [*IIS_HEADER, *lines])


def test_most_lines_that_matter_take_a_short_cut() -> None:
    """Otherwise the property above would compare a reading with itself."""
    ways: list[bool] = []

    class Watched(AccessLog):
        def _take_later_call(self, line: bytes, quote: int, at: int) -> bool:
            ways.append(super()._take_later_call(line, quote, at))
            return ways[-1]

    Watched(ESTABLISHMENTS, SECRET).read([host_first(hit) for hit in drawn(1)], file="a", now=NOW.timestamp())
    assert sum(ways) > 50
    assert ways.count(False) < sum(ways)
