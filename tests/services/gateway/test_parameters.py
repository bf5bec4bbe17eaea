"""Query strings: what no route understands is refused by its name, whatever the bytes."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import NamedError
from services.gateway.parameters import MAX_QUERY_BYTES, check_query

REFUSALS = {"malformed_query", "token_in_url", "repeated_parameter", "oversize_query"}
EVERY = [f"{number:07d}A" for number in range(1_000)]


def refusal(query: bytes) -> str | None:
    """The code with which a query string is refused, None when it passes."""
    try:
        check_query(query)
    except NamedError as refused:
        return refused.code
    return None


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"search=%00", "malformed_query"),
        (b"search=a%0ab", "malformed_query"),
        (b"search=%ff", "malformed_query"),
        (b"search=%ed%a0%80", "malformed_query"),
        ("search=é".encode(), "malformed_query"),
        (b"&".join([b"establishment=x"] * 2_001), "malformed_query"),
        (b"window=last-day&window=last-month", "repeated_parameter"),
        (b"x=1&x=1", "repeated_parameter"),
        (b"token=abc", "token_in_url"),
        (b"window=last-day&Access_Token=abc", "token_in_url"),
        (b"api%5Fkey=abc", "token_in_url"),
        (b"a" * (MAX_QUERY_BYTES + 1), "oversize_query"),
    ],
)
def test_what_is_refused(query: bytes, code: str):
    with pytest.raises(NamedError) as refused:
        check_query(query)
    assert refused.value.code == code
    assert refused.value.status in (413, 422)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"window=last-day",
        b"search=Coll%C3%A8ge+%26",
        urlencode([("establishment", uai) for uai in EVERY]).encode(),
    ],
)
def test_what_passes(query: bytes):
    assert refusal(query) is None


@given(st.binary(max_size=300))
def test_any_bytes_pass_or_are_named(query: bytes):
    assert refusal(query) in {None, *REFUSALS}


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4))
def test_any_fields_pass_or_are_named(fields: dict[str, str]):
    query = urlencode({name: value for name, value in fields.items() if name.isprintable()}, errors="surrogatepass")
    assert refusal(query.encode()) in {None, "malformed_query", "token_in_url"}
