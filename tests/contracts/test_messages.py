"""Messages evolve without breaking readers: stored examples, stored schemas, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import contracts
from contracts.schemas import FOLDER, MESSAGES, schema_text
from contracts.topics import load_cards
from contracts.usage_reported import (
    MAX_MESSAGE_BYTES,
    MalformedMessageError,
    Report,
    UsageReported,
    decode,
    encode,
    validate,
)

EXAMPLES = Path(contracts.__file__).parent / "examples"


@pytest.mark.parametrize("topic", MESSAGES)
def test_the_stored_schema_is_that_of_the_declaration(topic):
    assert (FOLDER / f"{topic}.json").read_text("utf-8") == schema_text(topic), (
        "run `make schemas` and read the difference"
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.json")), ids=lambda p: p.stem)
def test_stored_examples_still_read(path):
    message = msgspec.json.decode(path.read_bytes(), type=MESSAGES[path.parent.name])
    again = msgspec.json.decode(msgspec.json.encode(message), type=MESSAGES[path.parent.name])
    assert again == message


def test_every_topic_has_a_card_a_schema_and_an_example():
    cards = load_cards()
    assert {card.schema for card in cards.values()} == {f"{topic}.json" for topic in MESSAGES}
    assert {folder.name for folder in EXAMPLES.iterdir()} == set(MESSAGES)
    assert all(name == card.name and card.producers and card.consumers for name, card in cards.items())


def test_examples_of_reports_are_valid():
    for path in (EXAMPLES / "usage.reported.v1").glob("*.json"):
        for report in decode(path.read_bytes()).reports:
            validate(report)


def test_a_message_survives_the_wire():
    report = Report("web", "day", "2026-11-20", [1097], [3])
    message = UsageReported("agent-1", "0860001J", 1, [report])
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"agent":1,"uai":"0860001J","catalogue":1,"reports":[]}', "malformed"),
        (b'{"agent":"a","uai":"u","catalogue":true,"reports":[]}', "malformed"),
        (b'{"agent":"a","uai":"u","catalogue":NaN,"reports":[]}', "malformed"),
        (b'{"agent":"\\ud800","uai":"u","catalogue":1,"reports":[]}', "malformed"),
        (b" " * (MAX_MESSAGE_BYTES + 1), "oversize"),
    ],
)
def test_bytes_that_are_no_message_have_a_named_error(value, code):
    with pytest.raises(MalformedMessageError) as caught:
        decode(value)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (Report("webb", "day", "2026-11-20", [], []), "unknown_family"),
        (Report("people", "hour", "2026-11-20T08:00+01:00", [], []), "grain_not_in_family"),
        (Report("web", "day", "20/11/2026", [], []), "bad_start"),
        (Report("web", "month", "2026-11-02", [], []), "bad_start"),
        (Report("web", "hour", "2026-11-20T08:30+01:00", [], []), "bad_start"),
        (Report("web", "hour", "2026-11-20T08:00", [], []), "bad_start"),
        (Report("people", "school_year", "2026-01-01", [], []), "bad_start"),
        (Report("web", "day", "2026-11-20", [1097], []), "lengths_differ"),
        (Report("web", "day", "2026-11-20", [1098, 1097], [1, 1]), "cells_not_ascending"),
        (Report("web", "day", "2026-11-20", [1097, 1097], [1, 1]), "cells_not_ascending"),
        (Report("web", "day", "2026-11-20", [3353], [1]), "cell_not_in_family"),
        (Report("web", "day", "2026-11-20", [1097], [-1]), "bad_count"),
        (Report("web", "day", "2026-11-20", [1097], [2**60]), "bad_count"),
    ],
)
def test_a_report_of_the_wrong_shape_has_a_named_error(report, code):
    with pytest.raises(MalformedMessageError) as caught:
        validate(report)
    assert caught.value.code == code
