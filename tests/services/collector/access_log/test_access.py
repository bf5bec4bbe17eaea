"""ENT, direct or unknown (rules.md 4): what the pages before an opening say of the way in."""

from __future__ import annotations

from typing import Any

import pytest

from services.collector.access_log import AccessLog, Establishment
from tests.services.collector.access_log.reading import SECRET, UAI, access_log, at, connections, read
from tests.support.access_logs import Hit, call, combined, host_first, opening, page

TICKET = "ticket=ST-2847-aBcD-cas.ent.example"
IDENTIFIER = "identifiant=aB3dE5gH7jK9mN1p"


def visit(start: float, number: int = 7, **rest: Any) -> list[Hit]:
    calls = [call(at(start + n), 3, number, f"{n:032x}", **rest) for n in range(1, 4)]
    return [opening(at(start), 3, number, **rest), *calls]


def accesses(*hits: Hit, cas: bool = True) -> list[str]:
    facts = read([combined(hit) for hit in hits], access_log(cas=cas))
    return [access for _, _, _, access in connections(facts)]


@pytest.mark.parametrize(
    ("query", "access"),
    [
        (TICKET, "ent"),
        (IDENTIFIER, "ent"),
        (f"fd=1&{IDENTIFIER}&x=2", "ent"),
        (f"login=true&{TICKET}", "ent"),
        ("identifiant=aB3dE5gH7jK9mN1", "unknown"),
        ("identifiant=aB3dE5gH7jK9mN1pq", "unknown"),
        ("identifiant=aB3dE5gH7jK9mN1-", "unknown"),
        ("ticket=PT-2847", "unknown"),
        ("myticket=ST-2847", "unknown"),
        ("login=true", "direct"),
        ("fd=1&login=true", "direct"),
        ("login=trueish", "unknown"),
        ("fd=1", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_a_page_says(query, access):
    assert accesses(page(at(), query=query), *visit(5)) == [access]


@pytest.mark.parametrize(
    ("query", "access"), [(TICKET, "ent"), ("login=true", "direct"), ("fd=1", "direct"), ("", "direct")]
)
def test_without_an_ent_what_is_not_said_is_direct(query, access):
    assert accesses(page(at(), query=query), *visit(5), cas=False) == [access]


def test_no_page_at_all_is_unknown_or_direct_without_an_ent():
    assert accesses(*visit(5)) == ["unknown"]
    assert accesses(*visit(5), cas=False) == ["direct"]


@pytest.mark.parametrize(
    "name", ["direction", "professeur", "viescolaire", "parent", "accompagnant", "entreprise", "academie"]
)
@pytest.mark.parametrize("mobile", ["", "mobile."])
def test_every_page_counts_mobile_or_not(name, mobile):
    assert accesses(page(at(), mobile + name, TICKET), *visit(5)) == ["ent"]


@pytest.mark.parametrize("name", ["index", "parents", "xmobile.parent", "grand-parent", "parent.htm"])
def test_other_pages_say_nothing(name):
    assert accesses(page(at(), name, TICKET), *visit(5)) == ["unknown"]


def test_a_redirected_page_counts_as_well():
    assert accesses(page(at(), query=TICKET, status=302), *visit(5)) == ["ent"]


def test_a_page_of_120_seconds_before_counts_and_one_older_does_not():
    assert accesses(page(at(), query=TICKET), *visit(120)) == ["ent"]
    assert accesses(page(at(), query=TICKET), *visit(121)) == ["unknown"]


def test_a_page_of_the_same_second_comes_first_wherever_it_is_written():
    first, *rest = visit(5)
    assert accesses(first, page(at(5), query=TICKET), *rest) == ["ent"]


def test_a_page_after_the_opening_says_nothing_of_it():
    first, *rest = visit(5)
    assert accesses(first, page(at(6), query=TICKET), *rest) == ["unknown"]


def test_the_latest_page_decides():
    assert accesses(page(at(), query=TICKET), page(at(2), query="login=true"), *visit(5)) == ["direct"]
    assert accesses(page(at(), query="login=true"), page(at(2), query=TICKET), *visit(5)) == ["ent"]
    assert accesses(page(at(), query=TICKET), page(at(2)), *visit(5)) == ["unknown"]


def test_an_opening_uses_up_all_the_pages_before_it():
    pages = [page(at(), query=TICKET), page(at(1), query="login=true")]
    assert accesses(*pages, *visit(5, 7), *visit(20, 8)) == ["direct", "unknown"]


def test_an_opening_that_comes_to_nothing_uses_them_up_too():
    assert accesses(page(at(), query=TICKET), opening(at(5), 3, 7), *visit(20, 8)) == ["unknown"]


def test_a_page_between_two_openings_is_the_second_one_s():
    first, second = visit(5, 7), visit(30, 8)
    assert accesses(page(at(), query=TICKET), *first, page(at(29), query="login=true"), *second) == ["ent", "direct"]


@pytest.mark.parametrize("other", [{"address": "192.0.2.2"}, {"agent": "another browser"}])
def test_a_client_is_an_address_and_a_user_agent(other):
    assert accesses(page(at(), query=TICKET, **other), *visit(5)) == ["unknown"]


def test_pages_of_another_establishment_say_nothing_of_this_one():
    """What is counted of an establishment must not depend on who else is behind the same proxy."""
    both = [Establishment(UAI, ("a.example",)), Establishment("0750002V", ("b.example",))]
    log = AccessLog(both, SECRET)
    hits = [page(at(), query=TICKET, host="b.example"), *visit(5, host="a.example"), *visit(30, host="b.example")]
    facts = read([host_first(hit) for hit in hits], log)
    assert connections(facts) == [(at(5), "eleve", "web", "unknown"), (at(30), "eleve", "web", "ent")]
