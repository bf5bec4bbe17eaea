"""Situations that a question about figures may meet, each with its stable code."""

from __future__ import annotations

from chassis.errors import NamedError
from contracts.questions import UNKNOWN_SCOPE


class UnknownTableError(NamedError):
    code, status, title = "unknown_table", 404, "No table has this id"


class UnknownPageError(NamedError):
    code, status, title = "unknown_page", 404, "No summary has this page"


class UnknownEstablishmentError(NamedError):
    """Unknown and out of scope are one answer, so that nobody learns what exists elsewhere."""

    code, status, title = "unknown_establishment", 404, "No such establishment in your perimeter"


class UnknownWindowError(NamedError):
    code, status, title = "unknown_window", 422, "No window has this name"


class UnknownSchoolYearError(NamedError):
    code, status, title = "unknown_school_year", 422, "A school year is written 2025-2026 and has begun"


class TwoWindowsError(NamedError):
    code, status, title = "two_windows", 422, "Give a window or a school year, not both"


class UnknownDisplayError(NamedError):
    code, status, title = "unknown_display", 422, "A table is displayed by values or by rates"


class NoRatesError(NamedError):
    code, status, title = "no_rates", 422, "This table has no rates"


class UnknownColumnError(NamedError):
    code, status, title = "unknown_column", 422, "The table has no such column to sort by"


class UnknownColumnsError(NamedError):
    code, status, title = "unknown_columns", 422, "Columns are those of the page or all"


class UnknownComparisonError(NamedError):
    code, status, title = "unknown_comparison", 422, "A table is compared with the previous school year"


class NoComparisonError(NamedError):
    code, status, title = "no_comparison", 422, "This table is not compared with another year"


class MalformedQuestionError(NamedError):
    code, status, title = "malformed_question", 422, "The question is not understood"


class UnknownScopeError(NamedError):
    code, status, title = UNKNOWN_SCOPE, 409, "No scope with this digest is known: send it whole"
