"""A line of an access log, whatever its format, as the request that it tells of. Formats are recognised line by line."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from services.collector.access_log.stamps import of_combined, of_iso, of_w3c

LONGEST_LINE = 64 * 1024
"""Bytes; a request takes about 250. What is longer is unreadable."""
BOM = b"\xef\xbb\xbf"
NO_HOST = ""

_QUOTED = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_COMBINED = re.compile(
    rb" \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
    rb' "([A-Z]{3,16}) ([^"\\ ]++(?:\\.[^"\\ ]*+)*+)'
    + _QUOTED
    + rb'" (\d{3}) \S+ "'
    + _QUOTED
    + rb'" "('
    + _QUOTED
    + rb')"',
    re.DOTALL,
)
PLAIN, PLAIN_PATH = rb"!#-\[\]-\xff", rb"!#->@-\[\]-\xff"
"""Neither blank, quote, backslash nor control, and no `?` either: a pattern is quicker at what a byte is than at what it is not."""
ANSWERED = rb'" (\d{3}) \d++ "[ %b]*+" "' % PLAIN
"""Status, size and referer, from the end of the request to the user agent."""
_USUAL = re.compile(rb'"([A-Z]{3,16}+) ([%b]++)[ %b]*+%b([ %b]*+)"' % (PLAIN, PLAIN, ANSWERED, PLAIN)).match
"""What follows the instant where nothing is escaped."""
STAMPED = 28
"""Bytes of a combined line between ` [` and its first quote: an instant, `] `."""
_NAME = re.compile(rb"(?=[^ :]*[A-Za-z])[A-Za-z0-9._-]+(?::\d+)?")
_ADDRESS = re.compile(rb"\d+(?:\.\d+){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")
_WORDS_WITHOUT_HOST = 3
"""Address, ident, user; a fourth in front is the host, or a piece of a user's name that holds a blank."""
_HOST = re.compile(r"[a-z0-9._-]{1,253}|\[?[0-9a-f:.]{2,45}\]?")
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_STRAY_ESCAPE = re.compile(rb"\\(?=x[0-9A-Fa-f]{2})")

FIELDS = b"#Fields:"
_W3C_NEEDED = ("date", "time", "c-ip", "cs-method", "cs-uri-stem", "sc-status")
_W3C_WISHED = ("cs-uri-query", "cs-host", "cs(User-Agent)")


class Request(msgspec.Struct, gc=False):
    """What a line says: UTC second, host ('' when the log has none), client, request and answer."""

    at: int
    host: str
    address: bytes
    method: bytes
    target: bytes
    status: bytes
    agent: bytes


class _JsonLine(msgspec.Struct):
    time_iso8601: str
    remote_addr: str
    request: str
    status: int | str
    host: str = ""
    http_user_agent: str = ""


_decode_json = msgspec.json.Decoder(_JsonLine).decode


class Columns(msgspec.Struct, frozen=True):
    """Where an IIS log, since its last `#Fields` line, keeps what is read of it; -1 for what it does not write."""

    count: int
    places: tuple[int, ...]


def read_columns(directive: bytes) -> Columns | None:
    """What a `#Fields:` line says of the lines below it; None when something needed is not written."""
    names = directive[len(FIELDS) :].decode("ascii", "replace").split()
    if not set(_W3C_NEEDED) <= set(names):
        return None
    places = tuple(names.index(name) if name in names else -1 for name in (*_W3C_NEEDED, *_W3C_WISHED))
    return Columns(len(names), places)


def read_request(line: bytes, *, host_first: bool, columns: Columns | None) -> Request | None:
    """The request that a line tells of, or None where it is in none of the formats."""
    if len(line) > LONGEST_LINE:
        return None
    line = line.removeprefix(BOM).strip()
    if line.startswith(b"{"):
        return _read_json(line)
    return (columns and _read_w3c(line, columns)) or _read_combined(line, host_first=host_first)


def read_usual(line: bytes, quote: int, at: int, *, host_first: bool) -> Request | None:
    """The same of a combined line of which the instant and the place of the first quote are known: in half the time.

    None where it holds escapes, or is not quite as nearly all are: then `read_request`, which decides, has to look.
    """
    found = _USUAL(line, quote)
    front = found and client_of(line[: quote - STAMPED], host_first)
    if not found or not front or len(line) > LONGEST_LINE:
        return None
    method, target, status, agent = found.groups()
    return Request(at, front[0], front[1], method, target, status, b"" if agent == b"-" else agent)


def _read_combined(line: bytes, *, host_first: bool) -> Request | None:
    """The name of a user, or a host that is an IPv6 address, may hold a bracket too: then it is not the first one."""
    found = _COMBINED.match(line, line.find(b" [")) or _COMBINED.search(line)
    if not found:
        return None
    stamp, method, target, status, agent = found.groups()
    at = of_combined(stamp)
    if at is None:
        return None
    host, address = client_of(line[: found.start() + 2], host_first) or (NO_HOST, b"")
    return Request(at, host, address, method, target, status, _agent(agent, escaped=True))


@lru_cache(maxsize=16_384)
def client_of(front: bytes, host_first: bool) -> tuple[str, bytes] | None:
    """What stands before an instant. Where the setting says nothing, a leading name before an address is a host all the same.

    None where `read_request` would not take it as it stands: with marks or blanks in front, as JSON, or not ending in ` [`.
    """
    words = front.split(b" ")
    if not words[0] or front.startswith((b"{", BOM)) or front[:1].isspace() or words[-1] != b"[":
        return None
    if len(words) > _WORDS_WITHOUT_HOST + 1 and (host_first or (_is_name(words[0]) and _ADDRESS.fullmatch(words[1]))):
        return host_of(words[0]), words[1]
    return NO_HOST, words[0]


@lru_cache(maxsize=4096)
def _is_name(word: bytes) -> bool:
    return _NAME.fullmatch(word) is not None


def _read_json(line: bytes) -> Request | None:
    found, mended = _decoded(line), False
    if found is None:
        found, mended = _decoded(_mended(line)), True
    if found is None:
        return None
    at = of_iso(found.time_iso8601.encode("utf-8", "replace"))
    method, _, rest = found.request.partition(" ")
    if at is None or not rest:
        return None
    return Request(
        at,
        host_of(found.host.encode("utf-8", "replace")),
        found.remote_addr.encode(),
        method.encode(),
        rest.partition(" ")[0].encode(),
        str(found.status).encode(),
        _agent(found.http_user_agent.encode(), escaped=mended),
    )


def _decoded(line: bytes) -> _JsonLine | None:
    try:
        return _decode_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _mended(line: bytes) -> bytes:
    r"""What nginx writes without `escape=json`: `\x22` escapes, that are none of JSON's, and bytes of any encoding."""
    return _STRAY_ESCAPE.sub(rb"\\\\", line).decode("utf-8", "replace").encode()


def _read_w3c(line: bytes, columns: Columns) -> Request | None:
    values = line.split(b" ")
    if len(values) != columns.count:
        return None
    date, time, address, method, stem, status, query, host, agent = (
        values[place] if place >= 0 else b"-" for place in columns.places
    )
    at = of_w3c(date + b" " + time)
    if at is None:
        return None
    target = stem if query == b"-" else stem + b"?" + query
    return Request(at, host_of(host), address, method, target, status, _agent(agent.replace(b"+", b" "), escaped=False))


def _agent(written: bytes, *, escaped: bool) -> bytes:
    """A user agent as the client sent it: one client may be written in two formats on the day a log's format changes."""
    if written == b"-":
        return b""
    return _ESCAPE.sub(_unescaped, written) if escaped and b"\\" in written else written


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode()) if escape[1] else escape[2]


@lru_cache(maxsize=4096)
def host_of(written: bytes) -> str:
    """A host as it is compared: lower case, without port; '' for none, '?' for what no host can be."""
    if written in {b"", b"-"}:
        return NO_HOST
    text = written.decode("utf-8", "replace").lower()
    name, colon, port = text.rpartition(":")
    bare = (name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else text).rstrip(".")
    return bare if _HOST.fullmatch(bare) else "?"
