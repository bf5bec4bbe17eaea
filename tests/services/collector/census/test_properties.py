"""Whatever a file holds: nothing raises, nothing it says comes out, counts do not depend on who is who."""

from __future__ import annotations

import random
import sys
import time

from hypothesis import given
from hypothesis import strategies as st

from contracts.catalogue import CATALOGUE
from contracts.usage_reported import validate
from services.collector.census.faults import RefusedFileError
from services.collector.census.layouts import LAYOUTS
from services.collector.census.reading import Census
from tests.support.censuses import census_of, everything, told

names = st.sampled_from(sorted(LAYOUTS))
HEADS = {name: ";".join([*layout.required_names, *layout.optional]) for name, layout in LAYOUTS.items()}
CANARY = "Jeanne-Canari-7421"
noise = st.text(alphabet=st.sampled_from('";\r\n\0 \ufeff\u2028éO0F6EME-1'), max_size=12)


def outcome(name: str, content: bytes) -> Census | RefusedFileError:
    try:
        return census_of(name, content)
    except RefusedFileError as refused:
        return refused


@given(name=names, content=st.binary(max_size=300), headed=st.booleans())
def test_any_bytes_are_counted_or_refused(name, content, headed):
    found = outcome(name, HEADS[name].encode() + b"\n" + content if headed else content)
    if isinstance(found, Census):
        validate(found.report(restatement=1))


@given(
    name=names,
    rows=st.lists(st.lists(st.one_of(noise, st.just(CANARY), st.just("1"), st.just("6EME")), max_size=16), max_size=12),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
)
def test_no_message_holds_what_a_file_says(name, rows, encoding):
    lines = [HEADS[name], *(";".join(f"{CANARY}{cell}" for cell in row) for row in rows)]
    found = outcome(name, "\n".join(lines).encode(encoding, errors="replace"))
    if isinstance(found, RefusedFileError):
        assert found.__cause__ is None
        assert CANARY not in repr(found) + str(found) + repr(found.fault)
    else:
        assert CANARY not in repr(found) + "".join(map(str, found.faults))


cells = {
    "niveau": st.sampled_from(["6EME", "5EME", "TALE", "", "7EME"]),
    "sexe": st.sampled_from(["F", "M", "", "?"]),
    "regime": st.sampled_from(["DP", "INT", "EXT", ""]),
    "decrochage": st.sampled_from(["O", "N", ""]),
    "plans": st.sampled_from(["", "0", "1", "3", "-2"]),
    "absences": st.sampled_from(["", "0", "4", "5", "19", "20", "x"]),
}
pupils = st.lists(st.fixed_dictionaries(cells), max_size=30)


def eleves(rows: list[dict[str, str]], ids: list[str]) -> Census:
    lines = [";".join(["id", *cells])]
    lines += [";".join([each, *(row[name] for name in cells)]) for each, row in zip(ids, rows, strict=True)]
    return census_of("eleves", "\n".join(lines))


@given(rows=pupils, seed=st.integers(0, 2**32))
def test_renaming_and_permuting_pupils_changes_no_byte_of_the_report(rows, seed):
    ids = [f"p{place}" for place in range(len(rows))]
    shuffled = random.Random(seed).sample(rows, len(rows))
    renamed = [f"é{place * 7}" for place in range(len(rows))]
    assert eleves(rows, ids).report(1) == eleves(shuffled, renamed).report(1)


@given(rows=pupils)
def test_counts_are_those_of_a_plain_count(rows):
    counted = told(eleves(rows, [str(place) for place in range(len(rows))]))
    taken = [row for row in rows if row["niveau"] != "7EME"]
    assert sum(n for name, n in counted.items() if name.startswith("pupils/")) == len(taken)
    assert counted.get("girls", 0) == sum(row["sexe"] == "F" for row in taken)
    assert counted.get("half_boarders", 0) == sum(row["regime"] == "DP" for row in taken)
    assert counted.get("plans", 0) == sum(int(row["plans"]) for row in taken if row["plans"].isdigit())
    assert counted.get("dropout/6EME", 0) == sum(row["decrochage"] == "O" and row["niveau"] == "6EME" for row in taken)
    bands = sum(n for name, n in counted.items() if name.startswith("absence_half_days."))
    assert bands == counted.get("valued.absences", 0) == sum(row["absences"].isdigit() for row in taken)
    assert counted.get("absence_half_days.b20", 0) == sum(row["absences"] == "20" for row in taken)


def test_every_cell_of_the_census_families_is_counted_by_some_file():
    full = {
        "comptes": [f"{p};{p};{s}" for p in ("eleve", "responsable", "accompagnant", "enseignant") for s in "FM"]
        + [f"{p};{p};F" for p in ("administratif", "vie_scolaire", "autre")],
        "eleves": [f"{lv}{n};{lv};{ROWS_OF_PUPILS[n]}" for lv in CATALOGUE.levels for n in range(len(ROWS_OF_PUPILS))],
        "personnels": [f"{p};{p}" for p in ("administratif", "vie_scolaire", "accompagnant", "autre", "enseignant")],
        "classes": [f"{level};{level}" for level in CATALOGUE.levels],
        "salles": ["A;1;2"],
    }
    # Two rows of one id: the accounts of a boy and a girl need ids of their own.
    full["comptes"] = [f"{place}{row}" for place, row in enumerate(full["comptes"])]
    for name, rows in full.items():
        census = census_of(name, "\n".join([HEADS[name], *rows]))
        expected = {cell.code for cell in CATALOGUE.cells.values() if cell.family == f"census.{name}"}
        assert set(census.counts) == expected, name
        assert census.faults == ()


ROWS_OF_PUPILS = (
    "F;DP;O;O;1;1;O;O;0;0;0;0;0",
    "M;INT;N;N;0;0;N;N;1;4;1;2;1",
    "M;EXT;N;N;0;0;N;N;5;9;3;5;4",
    "F;EXT;N;N;0;0;N;N;10;19;6;7;8",
    "F;EXT;N;N;0;0;N;N;20;21;6;7;8",
)


def test_a_great_school_is_counted_whole_and_how_long_it_took_is_printed(capsys):
    number = 5_000
    rows = [f"id-{place};6EME;{ROWS_OF_PUPILS[place % 5]}" for place in range(number)]
    content = "\n".join([HEADS["eleves"], *rows]).encode()
    started = time.perf_counter()
    census = census_of("eleves", content)
    seconds = time.perf_counter() - started
    with capsys.disabled():
        sys.stdout.write(f"\n{number} pupils, {len(content)} bytes: {seconds * 1000:.0f} ms\n")
    assert everything(census)["pupils/6EME"] == number
