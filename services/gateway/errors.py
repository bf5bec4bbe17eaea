"""What a request may meet at the edge, each situation by its name and stable code."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request, Response

from chassis.errors import NamedError, UnauthorizedError
from chassis.http import problem

log = structlog.get_logger()


class UnknownTableError(NamedError):
    code, status, title = "unknown_table", 404, "No table has this id"


class UnknownPageError(NamedError):
    code, status, title = "unknown_page", 404, "No summary has this page"


class UnknownEstablishmentError(NamedError):
    """Unknown and out of scope are one answer, so that nobody learns what exists elsewhere."""

    code, status, title = "unknown_establishment", 404, "No such establishment in your perimeter"


class MalformedQueryError(NamedError):
    code, status, title = "malformed_query", 422, "The query string is not understood"


class RepeatedParameterError(NamedError):
    code, status, title = "repeated_parameter", 422, "Only establishment may be given more than once"


class TokenInUrlError(NamedError):
    code, status, title = "token_in_url", 422, "A token belongs in the Authorization header, never in an address"


class OversizeQueryError(NamedError):
    code, status, title = "oversize_query", 413, "The query string is too long"


class TooManyRequestsError(NamedError):
    code, status, title = "too_many_requests", 429, "Too much has been asked in this minute"


class TooManyAttemptsError(NamedError):
    code, status, title = (
        "too_many_attempts",
        429,
        "Too many refused attempts came from this network; wait before the next",
    )


class BadSignatureError(UnauthorizedError):
    """No signature, unknown agent, no key in force, wrong signature: one answer."""

    code, title = "bad_signature", "No key in force has signed this"


class OversizeBodyError(NamedError):
    code, status, title = "oversize", 413, "The body is too long"


class EncodedBodyError(NamedError):
    code, status, title = "encoded_body", 415, "A body is sent as it is signed: without any Content-Encoding"


class SlowBodyError(NamedError):
    code, status, title = "slow_body", 408, "The body takes too long to arrive"


class MalformedBodyError(NamedError):
    code, status, title = "malformed", 422, "The body is not understood"


class RefusedReportsError(NamedError):
    """What is wrong with a report message, by the contract's own codes."""

    status, title = 422, "The reports are not understood"

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


class AnsweredError(NamedError):
    """What the query API refused, passed on with its own code."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.status = int(problem["status"])
        self.code = str(problem["code"])
        self.title = str(problem.get("title") or HTTPStatus(self.status).phrase)
        super().__init__(str(problem.get("detail", "")))


async def answer_fault(request: Request, error: Exception) -> Response:
    """What nobody foresaw: the reader learns that it is our fault, the operator where."""
    log.error("a request failed: report this with the trace that follows", path=request.url.path, exc_info=error)
    return problem(500, "internal_error", "The fault is ours and has been noted")
