"""The same question asked of ClickHouse, embedded (chdb): one row a cell and day, summed by establishment and cell.

Reads a JSON question from standard input: the number of establishments, codes that are stored, codes that are asked for, the first
stored day and the number of days, and the spans to ask; prints the median milliseconds of each.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from typing import Any

from chdb.session import Session

CREATE = """
create table cells (establishment UInt32, code UInt16, day Date, count UInt32)
engine = MergeTree order by (establishment, code, day)
"""
"""In the order of what is grouped, with numbers for names: a third of the time of a table by day with names, for a school year."""
FILL = """
insert into cells
select establishment, arrayJoin({codes}) as code, toDate('{first}') + day, rand() % 200 + 1
from (select number as establishment, arrayJoin(range({days})) as day from numbers({establishments}))
"""
ASK = """
select establishment, code, sum(count) from cells
where day between '{since}' and '{until}' and code in {asked} group by establishment, code
settings optimize_aggregation_in_order = 1
"""


def main(question: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = Session(folder)
        session.query(CREATE)
        session.query(FILL.format(**question))
        session.query("optimize table cells final")
        asked, rounds = tuple(question["asked"]), question["rounds"]
        medians = {name: _median(session, span, asked, rounds) for name, span in question["spans"].items()}
        sys.stdout.write(json.dumps(medians) + "\n")
        session.close()


def _median(session: Session, span: list[str], asked: tuple[int, ...], rounds: int) -> float:
    since, until = span
    took = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        session.query(ASK.format(since=since, until=until, asked=asked), "RowBinary").bytes()
        took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took[1:])


if __name__ == "__main__":
    main(json.load(sys.stdin))
