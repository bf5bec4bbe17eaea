"""Sheets and hours kept unpacked from one question to the next, and brought up to each question's own snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.aggregator.query.hourly import DayHours
from services.aggregator.query.matrix import Codes
from services.aggregator.query.sheets import Batch, Mark, Period, PeriodSheets, Span
from services.aggregator.query.shelf import Shelf
from services.aggregator.query.store import Hold, read_days_moved, read_hours, read_sheets

ROOM = 80 << 20
"""Bytes of counts kept: a period of a thousand establishments takes under a megabyte for most tables."""


class _Known(NamedTuple):
    """Sheets as they stood at a mark."""

    sheets: PeriodSheets
    mark: Mark


_Value = TypeVar("_Value")


class _Kept(Generic[_Value]):
    """What was read of one server, by key, until a new connection may be to another."""

    def __init__(self, room: int) -> None:
        self._shelf: Shelf[object, _Value] = Shelf(room)
        self._generation = 0

    @property
    def taken(self) -> int:
        """Bytes kept now."""
        return self._shelf.taken

    def forget(self) -> None:
        """Marks are worth nothing to another server, nor to the same one after a crash: its transactions may be counted again."""
        self._generation += 1
        self._shelf.clear()


class KeptSheets(_Kept[_Known]):
    """Sheets of the periods asked for last. What is kept tells what need not be read again, never what is true."""

    def __init__(self, room: int = ROOM) -> None:
        super().__init__(room)

    async def read(
        self, connection: AsyncConnection, uais: Sequence[str], codes: Codes, spans: Iterable[Span]
    ) -> list[PeriodSheets]:
        """The sheets of these establishments in any of the spans, of the one instant that the transaction sees."""
        generation, who = self._generation, (tuple(uais), codes.codes)
        periods = list(dict.fromkeys(period for span in spans for period in span.periods))
        known = {period: found for period in periods if (found := self._shelf.get((generation, who, period)))}
        batches = await read_sheets(connection, uais, _spans(periods), {p: each.mark for p, each in known.items()})
        now = {
            (each.grain, each.start): _brought_up(known.get((each.grain, each.start)), each, codes) for each in batches
        }
        if lost := [period for period, sheets in now.items() if sheets is None]:
            whole = await read_sheets(connection, uais, _spans(lost))
            now |= {(each.grain, each.start): PeriodSheets.of(each, codes) for each in whole}
        sheets = {period: found for period, found in now.items() if found}
        for batch in batches if generation == self._generation else ():
            self._keep((generation, who, (batch.grain, batch.start)), sheets[batch.grain, batch.start], batch.mark)
        return list(sheets.values())

    def _keep(self, key: object, sheets: PeriodSheets, mark: Mark) -> None:
        self._shelf.put(key, _Known(sheets, mark), sheets.weight)


class KeptHours(_Kept[tuple[Hold, DayHours]]):
    """Hours of the UTC days asked for last: a day of which anything changed is read again, which happens to its last ones."""

    def __init__(self, room: int = ROOM // 4) -> None:
        super().__init__(room)

    async def read(self, connection: AsyncConnection, uais: Sequence[str], days: Sequence[date]) -> list[DayHours]:
        """The hours of these UTC days, of the one instant that the transaction sees."""
        generation, who = self._generation, tuple(uais)
        known = {day: found for day in days if (found := self._shelf.get((generation, who, day)))}
        moved, mark = await read_days_moved(connection, uais, days, {day: hold for day, (hold, _) in known.items()})
        read = await read_hours(connection, uais, sorted(moved)) if moved else {}
        now = {day: (Hold(held, mark), DayHours(hours)) for day, (held, hours) in read.items()}
        now = {day: (Hold(hold.held, mark), hours) for day, (hold, hours) in known.items()} | now
        for day, (hold, hours) in now.items() if generation == self._generation else ():
            self._shelf.put((generation, who, day), (hold, hours), hours.weight)
        return [now[day][1] for day in days]


def _spans(periods: Iterable[Period]) -> list[Span]:
    return [Span.of_period(*period) for period in periods]


def _brought_up(known: _Known | None, batch: Batch, codes: Codes) -> PeriodSheets | None:
    """The sheets as a batch says they are now; None where some were deleted, and the batch does not tell which."""
    if known is None:
        return PeriodSheets.of(batch, codes)
    if batch.held is None:
        return known.sheets
    sheets = known.sheets.changed(batch, codes)
    return sheets if len(sheets.uais) == batch.held else None
