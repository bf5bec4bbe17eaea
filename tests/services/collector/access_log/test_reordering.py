"""The reorder buffer and the state (rules.md 4): order within 60 s, batches, restarts."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collector.access_log import AccessLog, Establishment, Fact, SetAside, UnreadableStateError
from tests.services.collector.access_log.reading import (
    HOST,
    NOW,
    SECRET,
    START,
    UAI,
    access_log,
    at,
    connections,
    multiset,
    read,
    reasons,
)
from tests.support.access_log_count import count
from tests.support.access_logs import (
    APP,
    FIREFOX,
    IIS_HEADER,
    OPENING,
    PRONOTEPY,
    Hit,
    Site,
    call,
    combined,
    disordered,
    host_first,
    iis,
    nginx_json,
    opening,
    page,
    traffic,
)

SITES = [Site(UAI, HOST), Site("0750002V", "0750002v.index-education.net", cas=False)]
ESTABLISHMENTS = [Establishment(UAI, (HOST,)), Establishment("0750002V", cas=False)]


def both(state: bytes | None = None) -> AccessLog:
    return AccessLog(ESTABLISHMENTS, SECRET, state=state)


def drawn(seed: int, visits: int = 15) -> list[Hit]:
    return traffic(seed, SITES, START, START + timedelta(hours=4), visits=visits)[0]


FORMATS = {
    "host first": lambda hits: [host_first(hit) for hit in hits],
    "nginx JSON": lambda hits: [nginx_json(hit) for hit in hits],
    "IIS": lambda hits: [*IIS_HEADER, *(iis(hit) for hit in hits)],
    "all at once": lambda hits: [
        *IIS_HEADER,
        *((host_first, nginx_json, iis)[n % 3](hit) for n, hit in enumerate(hits)),
    ],
}


# --- what is true of a realistic log


@pytest.mark.parametrize("written", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("seed", range(2))
def test_a_realistic_log_says_what_is_true_of_it(seed, written):
    hits, truth = traffic(seed, SITES, START, START + timedelta(hours=6), visits=120)
    facts = read(written(hits), both())
    found = [fact for fact in facts if not isinstance(fact, SetAside)]
    assert sorted((fact.at, fact.uai, fact.profile, fact.channel, fact.access) for fact in found) == sorted(
        (int(when.timestamp()), *rest) for when, *rest in truth.connections
    )
    asides = [fact for fact in facts if isinstance(fact, SetAside)]
    assert {(fact.uai or "", fact.reason) for fact in asides} == set(truth.set_aside)
    assert len(asides) == truth.set_aside.total()
    assert len(found) > 60


# --- any cut


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(0, 2000), max_size=40), stored=st.booleans())
def test_any_cut_into_batches_and_restarts_says_the_same(seed, cuts, stored):
    lines = [host_first(hit) for hit in disordered(drawn(seed), seed, 50)]
    whole = read(lines, both())
    edges = [0, *sorted(cut for cut in cuts if cut < len(lines)), len(lines)]
    log, facts = both(), []
    for start, end in pairwise(edges):
        facts += log.read(lines[start:end], file="a", now=NOW.timestamp())
        log = both(log.state()) if stored else log
    assert [*facts, *log.flush()] == whole


def test_a_restart_after_every_line_says_the_same():
    lines = FORMATS["all at once"](drawn(1))
    log, facts = both(), []
    for line in lines:
        facts += log.read([line], file="a", now=NOW.timestamp())
        log = both(log.state())
    assert [*facts, *log.flush()] == read(lines, both())


# --- any order within the minute


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50), shuffle=st.integers(0, 2**32), seconds=st.integers(0, 59))
def test_order_within_the_minute_does_not_matter(seed, shuffle, seconds):
    hits = drawn(seed)
    mixed = disordered(hits, shuffle, seconds)
    assert multiset(read([host_first(hit) for hit in mixed], both())) == multiset(
        read([host_first(hit) for hit in hits], both())
    )


def test_calls_written_before_their_opening_are_its_own():
    hits = [*(call(at(n), 3, 7, f"{n:032x}") for n in range(1, 4)), opening(at(), 3, 7)]
    assert len(connections(read([combined(hit) for hit in hits]))) == 1


def test_within_a_second_pages_then_openings_then_calls():
    hits = [*(call(at(), 3, 7, f"{n:032x}") for n in range(1, 4)), opening(at(), 3, 7), page(at(), query="ticket=ST-1")]
    assert connections(read([combined(hit) for hit in hits])) == [(at(), "eleve", "web", "ent")]


def test_a_line_leaves_when_one_60_s_newer_is_read_whatever_that_one_is():
    early = [combined(call(at(n), 3, 7, f"{n:032x}")) for n in range(1, 4)]
    late_opening = combined(opening(at(), 3, 7))
    unrelated = {seconds: combined(Hit(at(seconds), "GET /favicon.ico HTTP/1.1")) for seconds in (60, 61, 63)}
    assert len(connections(read([*early, unrelated[60], late_opening]))) == 1
    assert reasons(read([*early, unrelated[61], late_opening])) == {"call_without_session": 1}
    assert reasons(read([*early, unrelated[63], late_opening])) == {"call_without_session": 3}


def test_the_end_of_the_files_empties_the_buffer():
    log = access_log()
    lines = [combined(hit) for hit in (opening(at(), 3, 7), *(call(at(n), 3, 7, f"{n:032x}") for n in range(1, 4)))]
    assert log.read(lines, file="a", now=NOW.timestamp()) == []
    assert log.waiting
    assert len(connections(log.flush())) == 1
    assert not log.waiting
    assert log.flush() == []


def test_what_comes_too_late_for_the_buffer_is_understood_at_once():
    old = [combined(hit) for hit in (opening(at(), 3, 7), *(call(at(n), 3, 7, f"{n:032x}") for n in range(1, 4)))]
    log = access_log()
    log.read([combined(page(at(hours=5)))], file="a", now=NOW.timestamp())
    assert len(connections(log.read(old, file="a", now=NOW.timestamp()))) == 1


# --- the future, the state


def test_a_line_over_24_h_ahead_is_set_aside_and_moves_nothing():
    now = at()
    ahead = [combined(opening(at(1, hours=24), 3, 9)), combined(page(at(2, hours=24), query="ticket=ST-1"))]
    kept = [combined(hit) for hit in (opening(at(), 3, 7), *(call(at(n), 3, 7, f"{n:032x}") for n in range(1, 4)))]
    log = access_log()
    facts = log.read([*kept[1:], *ahead, kept[0]], file="a", now=now.timestamp())
    assert facts == [SetAside("future", int(at(1, hours=24).timestamp()), UAI, "")]
    assert len(connections(log.flush())) == 1


def test_a_line_just_24_h_ahead_is_read():
    lines = [combined(call(at(hours=24), 3, 7, "a" * 32))]
    assert reasons(read(lines, now=at())) == {"call_without_session": 1}


def test_nothing_in_the_state_says_who():
    log = both()
    log.read([host_first(hit) for hit in drawn(3)], file="a", now=NOW.timestamp())
    log.read(
        [
            host_first(page(at(hours=9), query="identifiant=aB3dE5gH7jK9mN1p", host=HOST, address="203.0.113.77")),
            host_first(opening(at(hours=9), 3, 7, host=HOST, address="203.0.113.77", agent=APP)),
            host_first(page(at(hours=9), query="ticket=ST-1-secret", host=HOST, address="203.0.113.78")),
        ],
        file="a",
        now=NOW.timestamp(),
    )
    state = log.state()
    for canary in (b"203.0.113", b"Mozilla", b"PRONOTE", b"aB3dE5gH7jK9mN1p", b"ST-1", b"eleve.html"):
        assert canary not in state


def test_what_is_not_needed_any_more_is_forgotten():
    log = access_log()
    hits = [page(at(n), query="ticket=ST-1", address=f"192.0.2.{n}") for n in range(200)]
    hits += [opening(at(200 + n), 3, n, address=f"192.0.2.{n}") for n in range(200)]
    log.read([combined(hit) for hit in hits], file="a", now=NOW.timestamp())
    full = len(log.state())
    log.read([combined(page(at(hours=3))), combined(page(at(hours=3, minutes=2)))], file="a", now=NOW.timestamp())
    assert len(log.state()) < 200 < full / 50


@pytest.mark.parametrize("state", [b"", b"\xff", b"\x95\x63\x00\x80\x94\x00\x90\x90\x90\x80", b"{}"])
def test_a_state_that_is_none_is_refused_by_name(state):
    with pytest.raises(UnreadableStateError):
        access_log(state=state)


# --- against a plain count


CLIENTS = ({"address": "192.0.2.1"}, {"address": "192.0.2.2"}, {"agent": APP}, {"agent": PRONOTEPY})


def small_world(draw: random.Random) -> list[Hit]:
    """Few clients, sessions and orders, so that everything collides.

    No two openings, and no two pages of a client, in one second: which comes first is then the log's to say.
    """
    found: dict[object, Hit] = {}
    when = START
    for n in range(draw.randrange(5, 160)):
        far = draw.random() < 0.1
        when += timedelta(seconds=draw.choice((59, 60, 61, 119, 121, 7199, 7200, 7201) if far else (0, 0, 1, 5, 20)))
        who = draw.choice(CLIENTS)
        espace, number = draw.choice((3, 3, 3, 3, 3, 6, 4, 99)), draw.randrange(2)
        kind = draw.randrange(14)
        if kind == 0:
            hit = page(
                when, query=draw.choice(("ticket=ST-1", "login=true", "", "identifiant=aB3dE5gH7jK9mN1p")), **who
            )
            found[str(who), when] = hit
        elif kind == 1:
            hit = opening(when, espace, number, status=draw.choice((200, 200, 200, 302)), **who)
            found["opening", when] = hit
            found.pop(("again", when), None)
            if draw.random() < 0.2:
                found["again", when] = hit
        else:
            name = draw.choice(("appelfonction", "appelfonction", "appelpolling"))
            order = draw.choice("abcdef") * 32
            found[n] = call(when, espace, number, order, name=name, status=draw.choice((200, 200, 500)), **who)
    return list(found.values())


@given(seed=st.integers(0, 2**32), cas=st.booleans())
def test_small_worlds_are_counted_as_a_plain_count_does(seed, cas):
    draw = random.Random(seed)
    hits = small_world(draw)
    end = page(max(hit.at for hit in hits) + timedelta(hours=3), address="192.0.2.99")
    expected, asides = count(hits, cas=cas)
    lines = [combined(hit) for hit in (*disordered(hits, seed, draw.choice((0, 30, 59))), end)]
    facts = read(lines, access_log(cas=cas))
    assert sorted(connections(facts)) == sorted(expected.elements())
    assert reasons(facts) == {reason: n for reason, n in asides.items() if n}


def test_the_small_worlds_hold_something():
    """Otherwise the property above would prove nothing."""
    worlds = [count(small_world(random.Random(seed))) for seed in range(200)]
    assert sum(connections.total() for connections, _ in worlds) > 100
    assert {access for connections, _ in worlds for _, _, _, access in connections} == {"ent", "direct", "unknown"}
    assert {reason for _, asides in worlds for reason in asides} >= {
        "script",
        "opened_not_authenticated",
        "outside_profiles",
    }


def facts_of(log: AccessLog, lines: list[bytes]) -> list[Fact]:
    return log.read(lines, file="a", now=NOW.timestamp())


def test_a_flood_of_openings_is_bounded(monkeypatch):
    monkeypatch.setattr("services.collector.access_log.sessions.MOST_SESSIONS", 100)
    log = access_log()
    facts = facts_of(log, [combined(opening(at(n / 10), 3, n, agent=FIREFOX)) for n in range(2000)])
    assert reasons(facts)["opened_not_authenticated"] > 1000
    assert len(log.state()) < 100_000


def test_the_constant_is_the_first_order_of_every_session():
    """AES-128-CBC of "1" with the MD5 of "" as key and a null vector, recomputed."""
    from hashlib import md5

    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    encryptor = Cipher(AES(md5(b"").digest()), CBC(bytes(16))).encryptor()
    assert (encryptor.update(b"1" + b"\x0f" * 15) + encryptor.finalize()).hex() == OPENING
