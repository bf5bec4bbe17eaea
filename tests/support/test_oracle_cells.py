"""Totals and extremes of the oracle, against numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction

from tests.support.oracle.cells import Cell, extremes, rate, total


def test_totals_say_what_they_leave_out_and_rates_are_made_last():
    assert total([Cell(Fraction(3)), Cell(None, "nd"), Cell(None, "na")]) == Cell(Fraction(3), "partial", left_out=1)
    assert total([Cell(None, "s"), Cell(None, "nd")]) == Cell(None, "nd", left_out=2)
    rates = [rate(Cell(Fraction(1)), Cell(Fraction(2))), rate(Cell(Fraction(3)), Cell(Fraction(98)))]
    assert total([*rates, rate(Cell(Fraction(0)), Cell(Fraction(0)))]).value == Fraction(4, 100)


def test_extremes_need_two_different_values_and_mark_ties():
    assert extremes({"a": Cell(Fraction(1)), "b": Cell(Fraction(1))}) == (set(), set())
    column = {
        "a": Cell(Fraction(1)),
        "b": Cell(Fraction(9), "partial"),
        "c": Cell(Fraction(3)),
        "d": Cell(Fraction(3)),
        "e": Cell(None, "nd"),
    }
    assert extremes(column) == ({"c", "d"}, {"a"})
