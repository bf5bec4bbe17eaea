"""A small platform for agents: the three routes of the gateway on a real socket, signatures verified, answers to order."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import msgspec

from contracts.fleet import (
    AGENT_HTTP_HEADER,
    SIGNATURE_HTTP_HEADER,
    Enrol,
    Enrolled,
    FamilyStanding,
    Hello,
    HelloAnswer,
    Resend,
    ServedEstablishment,
)
from contracts.registry import Grant
from contracts.signing import public_from_text, verify
from contracts.usage_reported import UsageReported, decode, validate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

OVERLAP = timedelta(days=7)


class RefusedError(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


@dataclass
class FleetPlatform:
    """`refusals`: answers to the next reports instead of taking them. `ahead`: how far its clock is ahead of the machine's."""

    agent: str = "agent-1"
    codes: set[str] = field(default_factory=lambda: {"code-1"})
    establishments: list[ServedEstablishment] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    minimum_version: str = "0.0.1"
    cadence: float = 0.1
    standing: list[FamilyStanding] = field(default_factory=list)
    resend: Resend | None = None
    kafka: str = ""
    ahead: timedelta = timedelta(0)
    silent: bool = False
    refusals: list[RefusedError] = field(default_factory=list)
    keys: dict[str, datetime | None] = field(default_factory=dict)
    taken_codes: dict[str, str] = field(default_factory=dict)
    hellos: list[Hello] = field(default_factory=list)
    messages: list[UsageReported] = field(default_factory=list)
    lose_answers: int = 0
    most_keys: int = 2
    changed: threading.Condition = field(default_factory=threading.Condition)
    tls: Path | None = None
    _server: ThreadingHTTPServer | None = None

    def serve(self, uai: str, *families: str, collected: bool = True, zone: str = "Europe/Paris", **days: Any) -> None:
        """Grant families of an establishment; `from_day` and `to_day` bound them."""
        if uai not in {each.uai for each in self.establishments}:
            self.establishments.append(ServedEstablishment(uai, f"Collège {uai} (fictif)", "college", zone, collected))
        self.grants += [Grant(self.agent, uai, family, **days) for family in families]

    def collect(self, uai: str, *, collected: bool) -> None:
        """A convention comes into force, or ends."""
        self.establishments = [
            msgspec.structs.replace(each, collected=collected) if each.uai == uai else each
            for each in self.establishments
        ]

    # --- the server

    def __enter__(self) -> Self:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer, headers = platform.answer(self.path, dict(self.headers.items()), body)
                if platform.lose_answers:
                    platform.lose_answers -= 1
                    self.close_connection = True
                    return
                self._send(status, answer, headers)

            def do_GET(self) -> None:
                self._send(404, b"", {})

            def _send(self, status: int, answer: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(timestamp or platform.now().timestamp())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        assert self._server
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    # --- routes

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        routes: dict[str, Callable[[dict[str, str], bytes], Any]] = {
            "/api/v1/agents/enrol": self._enrol,
            "/api/v1/agents/hello": self._hello,
            "/api/v1/agents/reports": self._report,
        }
        found = {name.lower(): value for name, value in headers.items()}
        with self.changed:
            try:
                answer = (self._be_away if self.silent else routes[path])(found, body)
            except RefusedError as refused:
                problem = {"code": refused.code, "title": "Refused", "detail": f"refused: {refused.code}"}
                return refused.status, msgspec.json.encode(problem), refused.headers
            finally:
                self.changed.notify_all()
        return 200 if answer is not None else 202, b"" if answer is None else msgspec.json.encode(answer), {}

    def _be_away(self, *_: object) -> None:
        raise RefusedError(503, "unavailable")

    def _enrol(self, headers: dict[str, str], body: bytes) -> Enrolled:
        asked = msgspec.json.decode(body, type=Enrol)
        if not verify(public_from_text(asked.public_key), headers[SIGNATURE_HTTP_HEADER.lower()].encode(), body):
            raise RefusedError(401, "bad_signature")
        if asked.code not in self.codes:
            raise RefusedError(404, "unknown_code")
        if self.taken_codes.setdefault(asked.code, asked.public_key) != asked.public_key:
            raise RefusedError(409, "code_used")
        self.keys[asked.public_key] = None
        return Enrolled(self.agent, self.now(), self.kafka, self.establishments, self.grants)

    def _hello(self, headers: dict[str, str], body: bytes) -> HelloAnswer:
        key = self._authenticate(headers, body)
        hello = msgspec.json.decode(body, type=Hello)
        assert hello.agent == headers[AGENT_HTTP_HEADER.lower()]
        if hello.next_public_key and len(self.keys) > self.most_keys:
            raise RefusedError(409, "too_many_keys")
        if hello.next_public_key:
            self.keys.setdefault(hello.next_public_key, None)
            self.keys[key] = self.keys[key] or self.now() + OVERLAP
        self.hellos.append(hello)
        return HelloAnswer(
            server_time=self.now(),
            minimum_version=self.minimum_version,
            cadence_seconds=self.cadence,
            establishments=self.establishments,
            grants=self.grants,
            standing=self.standing,
            resend=self.resend,
            key_until=self.keys[key],
            copies=len({each.state for each in self.hellos}) > 1,
        )

    def _report(self, headers: dict[str, str], body: bytes) -> None:
        self._authenticate(headers, body)
        if self.refusals:
            raise self.refusals.pop(0)
        message = decode(body)
        for report in message.reports:
            validate(report)
        self.messages.append(message)

    def _authenticate(self, headers: dict[str, str], body: bytes) -> str:
        signature = headers.get(SIGNATURE_HTTP_HEADER.lower(), "").encode()
        if headers.get(AGENT_HTTP_HEADER.lower()) == self.agent:
            for text, until in self.keys.items():
                if (until is None or self.now() < until) and verify(public_from_text(text), signature, body):
                    return text
        raise RefusedError(401, "unauthorized")

    # --- what came of it

    def wait_for(self, what: Callable[[], object], seconds: float = 20) -> None:
        """Until something is so; asserts that it comes to be."""
        with self.changed:
            assert self.changed.wait_for(what, seconds), "it never came"

    def states(self, family: str, grain: str) -> dict[tuple[str, str], dict[int, int]]:
        """Where each establishment and start stands, merged as the platform merges: a higher restatement replaces, else maximum."""
        found: dict[tuple[str, str], tuple[int, dict[int, int]]] = {}
        for message in self.messages:
            for report in message.reports:
                if (report.family, report.grain) != (family, grain):
                    continue
                restatement, cells = found.get((message.uai, report.start), (-1, {}))
                if report.restatement > restatement:
                    cells = {}
                if report.restatement >= restatement:
                    for cell, count in zip(report.cells, report.counts, strict=True):
                        cells[cell] = max(count, cells.get(cell, 0))
                    found[message.uai, report.start] = report.restatement, cells
        return {key: cells for key, (_, cells) in found.items()}

    def web(self, uai: str) -> int:
        """Connections by web of an establishment, all days."""
        return sum(sum(cells.values()) for (whose, _), cells in list(self.states("web", "day").items()) if whose == uai)
