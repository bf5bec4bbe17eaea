"""CSV of a table: titles, totals, lines, states, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.answers import AnswerCell, AnswerColumn, AnswerRow, TableAnswer
from contracts.catalogue import CATALOGUE
from services.gateway.as_csv import FRENCH, RFC4180, as_csv, file_name, guarded

COUNT = AnswerColumn("total.all", "Total", "Total", "count", 59)
RATE = AnswerColumn("eleve.mobile", ".Net mobile", "Élèves", "rate", 64)
RATIO = AnswerColumn("pupils_per.teacher", "Élèves par enseignant", "", "ratio", 12)


def row(
    *cells: AnswerCell, name: str = "Collège Zola", postal_codes: tuple[str, ...] = ("86000", "86100")
) -> AnswerRow:
    return AnswerRow("0860001A", name, postal_codes, list(cells))


def answer(columns: list[AnswerColumn], total: list[AnswerCell], *rows: AnswerRow) -> TableAnswer:
    return TableAnswer(
        table="connexions.authentifiees", display="rates", window="current-month", first_day=date(2026, 11, 1),
        last_day=date(2026, 11, 23), complete=False, as_of=None, columns=columns, total=total, rows=list(rows), extremes={},
    )  # fmt: skip


def read(content: bytes, delimiter: str = ";") -> list[list[str]]:
    text = content.decode().removeprefix("\ufeff")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))


MIXED = answer(
    [COUNT, RATE, RATIO],
    [AnswerCell(1234, "partial", 0.5, 1), AnswerCell(0.4567), AnswerCell(11.5)],
    row(AnswerCell(12, "partial", 0.93), AnswerCell(0.456789), AnswerCell(None, "nd")),
    row(AnswerCell(None, "s"), AnswerCell(1.0), AnswerCell(0), name='Collège "Zola"; annexe', postal_codes=()),
)


def test_french_is_what_a_french_spreadsheet_opens():
    assert as_csv(MIXED).decode() == (
        "\ufeffUAI;Nom;Codes postaux;Total;Élèves · .Net mobile (%);Élèves par enseignant;Réserves\r\n"
        ";Total;;1234;45,7;11,5;total.all=partial\r\n"
        "0860001A;Collège Zola;86000 86100;12;45,7;nd;total.all=partial pupils_per.teacher=nd\r\n"
        '0860001A;"Collège ""Zola""; annexe";;s;100,0;0;total.all=s\r\n'
    )


def test_rfc4180_is_what_a_program_reads():
    assert as_csv(MIXED, RFC4180).decode() == (
        "uai,name,postal_codes,total.all,eleve.mobile,pupils_per.teacher,Réserves\r\n"
        ",Total,,1234,0.4567,11.5,total.all=partial\r\n"
        "0860001A,Collège Zola,86000 86100,12,0.456789,nd,total.all=partial pupils_per.teacher=nd\r\n"
        '0860001A,"Collège ""Zola""; annexe",,s,1.0,0,total.all=s\r\n'
    )


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        (0, "0,0"),
        (0.0005, "0,1"),
        (0.00049, "0,0"),
        (0.4565, "45,7"),
        (0.999999, "100,0"),
        (1.23456, "123,5"),
        (1e-06, "0,0"),
    ],
)
def test_a_rate_has_one_decimal_under_a_title_in_percent(fraction: float, shown: str):
    assert read(as_csv(answer([RATE], [AnswerCell(fraction)])))[1][3] == shown


def test_small_fractions_never_use_an_exponent():
    assert read(as_csv(answer([RATE], [AnswerCell(1e-06)]), RFC4180), ",")[1][3] == "0.000001"


def test_a_count_is_a_whole_number_even_when_it_travels_as_a_float():
    assert read(as_csv(answer([COUNT], [AnswerCell(12.0)])))[1][3] == "12"


def test_an_estimated_value_keeps_its_number_and_says_so():
    assert read(as_csv(answer([COUNT], [AnswerCell(3, "estimated")])))[1][3:] == ["3", "total.all=estimated"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝"])
@pytest.mark.parametrize("dialect", [FRENCH, RFC4180])
def test_a_name_is_never_a_formula(start: str, dialect):
    name = f'{start}HYPERLINK("http://x")'
    line = read(as_csv(answer([COUNT], [AnswerCell(1)], row(AnswerCell(1), name=name)), dialect), dialect.delimiter)[2]
    assert line[1] == f"'{name}"


def test_ordinary_names_stay_as_they_are():
    assert guarded("Collège L'Été - Zola") == "Collège L'Été - Zola"
    assert guarded("") == ""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), st.sampled_from([FRENCH, RFC4180]))
def test_any_names_come_back_in_their_lines(names, dialect):
    rows = [row(AnswerCell(1), name=name) for name in names]
    lines = read(as_csv(answer([COUNT], [AnswerCell(1)], *rows), dialect), dialect.delimiter)
    assert len(lines) == 2 + len(names)
    assert [
        line[1].removeprefix("'") if line[1] != name else name for line, name in zip(lines[2:], names, strict=True)
    ] == names
    assert not any(line[1].startswith(("=", "+", "-", "@", "\t", "\r")) for line in lines)
    assert {len(line) for line in lines} == {5}


def test_titles_tell_columns_apart():
    columns = [AnswerColumn(f"{group}.net", ".Net", group, "count", 61) for group in ("Élèves", "Responsables")]
    titles = read(as_csv(answer(columns, [AnswerCell(1), AnswerCell(2)])))[0]
    assert len(set(titles)) == len(titles)


def test_the_file_says_what_it_holds():
    assert file_name(MIXED) == "connexions.authentifiees_rates_2026-11-01_2026-11-23.csv"


def test_a_title_says_what_must_be_said_wherever_the_column_is():
    late = AnswerColumn(
        "lateness.b0", "Élèves, 0", "Retards", "rate", 26, ("arrondi à 5", "finalité liée à l'action sociale")
    )
    table = answer([late], [AnswerCell(0.5)])
    assert read(as_csv(table))[0][3] == "Retards · Élèves, 0 — arrondi à 5, finalité liée à l'action sociale (%)"
    assert read(as_csv(table, RFC4180), ",")[0][3] == "lateness.b0"


def test_a_difference_may_be_negative_and_is_no_formula():
    change = AnswerColumn("pupils.difference", "Total, écart", "Élèves", "count", 10)
    assert read(as_csv(answer([change], [AnswerCell(-12)])))[1][3] == "-12"


@pytest.mark.parametrize("table", CATALOGUE.tables)
def test_titles_of_every_table_tell_its_columns_apart(table: str):
    columns = [AnswerColumn(c.id, c.label, c.group, c.value.unit, c.indicator) for c in CATALOGUE.tables[table].columns]
    titles = read(as_csv(answer(columns, [AnswerCell(0)] * len(columns))))[0]
    assert len(set(titles)) == len(titles)
