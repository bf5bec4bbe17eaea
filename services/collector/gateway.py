"""The platform's door for agents: three signed POSTs over HTTPS, through whatever proxy and CA the site has."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import certifi
import httpx
import msgspec

from contracts.fleet import AGENT_HTTP_HEADER, SIGNATURE_HTTP_HEADER, Enrolled, HelloAnswer
from services.collector.errors import KeyRefusedError, MessageRefusedError, NotDeliveredError, SettingsError
from services.collector.version import agent_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds; a school's line may be slow, and a message has at most half a megabyte."""
LONGEST_RETRY_AFTER = 3600.0
"""Seconds that we wait at most, whatever we are asked."""
LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes; the grants of a thousand establishments take some two million."""
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_T = TypeVar("_T")


class _Problem(msgspec.Struct):
    code: str = ""
    title: str = ""
    detail: str = ""


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """Trusts what the machine trusts (`SSL_CERT_FILE` included), and the site's own authority where one is given."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        context.load_verify_locations(certifi.where())
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(str(ca), "gateway.ca", f"is no file of certificates in PEM ({error})") from error
    return context


class Gateway:
    """One connection kept open; `HTTPS_PROXY`, `NO_PROXY` and their like are obeyed."""

    def __init__(self, url: str, *, ca: Path | None = None) -> None:
        self.url = url
        self._http = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/v1/agents",
            verify=tls_context(ca),
            trust_env=True,  # proxies; what is trusted was said above
            timeout=TIMEOUT,
            headers={"User-Agent": f"territoriale-agent/{agent_version()}"},
        )

    async def enrol(self, body: bytes, signature: bytes) -> Enrolled:
        """`body` is an `Enrol`, signed with the key that it brings."""
        return self._decoded(await self._post("/enrol", body, {SIGNATURE_HTTP_HEADER: signature.decode()}), Enrolled)

    async def hello(self, agent: str, body: bytes, signature: bytes) -> HelloAnswer:
        """`body` is a `Hello`."""
        return self._decoded(await self._post("/hello", body, _signed(agent, signature)), HelloAnswer)

    async def report(self, agent: str, body: bytes, signature: bytes, trace: bytes) -> None:
        """`body` is a message of usage.reported.v1; returns once the platform has it for good."""
        await self._post("/reports", body, {**_signed(agent, signature), "traceparent": trace.decode()})

    async def server_time(self) -> datetime:
        """By the `Date` of whatever the gateway answers: to a second or so, and without saying who asks."""
        try:
            answer = await self._http.get("/")
        except (httpx.HTTPError, OSError) as error:
            raise self._away(error) from error
        try:
            return parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
        except (KeyError, ValueError):
            raise NotDeliveredError(f"{self.url} answers without saying what time it is: is it the platform?") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """`NotDeliveredError` when it may go better later, `KeyRefusedError`, `MessageRefusedError` when it will not."""
        try:
            request = self._http.build_request(
                "POST", path, content=body, headers={"Content-Type": "application/json", **headers}
            )
            response = await self._http.send(request, stream=True)
            try:
                content = await self._read(response)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._away(error) from error
        if not response.is_success:
            raise self._refusal(response, content)
        return content

    async def _read(self, response: httpx.Response) -> bytes:
        content = b""
        async for part in response.aiter_bytes():
            content += part
            if len(content) > LARGEST_ANSWER:
                raise NotDeliveredError(f"{self.url} answers more than {LARGEST_ANSWER} bytes: is it the platform?")
        return content

    def _away(self, error: Exception) -> NotDeliveredError:
        return NotDeliveredError(f"{self.url} cannot be reached ({type(error).__name__}: {error})")

    def _refusal(self, response: httpx.Response, content: bytes) -> NotDeliveredError | MessageRefusedError:
        status, problem = response.status_code, _problem(content)
        said = f"{problem.code} {problem.detail or problem.title}".strip()
        if status == HTTPStatus.UNAUTHORIZED:
            return KeyRefusedError(
                f"{self.url} knows no key in force behind our signature ({said or 'HTTP 401'}): it was revoked or has "
                "ended. Ask the platform's administrator for a code, then `territoriale agent enrol` again"
            )
        if status in _TRY_AGAIN:
            told = said or HTTPStatus(status).phrase
            return NotDeliveredError(f"{self.url} asks to try later: HTTP {status} {told}", _retry_after(response))
        if response.is_redirect:
            return NotDeliveredError(f"{self.url} sends elsewhere ({response.headers.get('location', '')}): a portal?")
        return MessageRefusedError(status, problem.code, problem.detail or problem.title)

    def _decoded(self, content: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotDeliveredError(f"{self.url} answers something else ({error}): is it the platform?") from error


def _signed(agent: str, signature: bytes) -> dict[str, str]:
    return {AGENT_HTTP_HEADER: agent, SIGNATURE_HTTP_HEADER: signature.decode()}


def _problem(content: bytes) -> _Problem:
    try:
        return msgspec.json.decode(content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Problem()


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, or until an HTTP date by the answer's own clock; None where nothing usable is said."""
    text = response.headers.get("retry-after", "")
    try:
        wait = float(text) if text.isdigit() else _until(text, response.headers.get("date", ""))
    except ValueError:
        return None
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER)


def _until(text: str, now: str) -> float:
    return (parsedate_to_datetime(text) - parsedate_to_datetime(now)).total_seconds()
