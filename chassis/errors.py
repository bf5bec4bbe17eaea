"""Expected situations, named: a stable `code`, an HTTP `status`, a title that a person can act on."""

from __future__ import annotations


class NamedError(Exception):
    """An expected situation; subclasses are named for it. `detail` says this case, `extra` adds fields to the problem."""

    code = "error"
    status = 500
    title = "Error"

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.extra = extra


class UnauthorizedError(NamedError):
    code, status, title = "unauthorized", 401, "Authentication is required"


class UnavailableError(NamedError):
    code, status, title = "unavailable", 503, "A part that this answer needs is not available; try again shortly"
