"""The same question asked of ClickHouse, embedded (chdb): one row a cell and day, summed by establishment and cell.

Reads a JSON question from standard input: establishments, codes that are stored, codes that are asked for, the first stored day
and the number of days, and the spans to ask; prints the median milliseconds of each.
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
create table cells (day Date, uai LowCardinality(String), code UInt16, count UInt32)
engine = MergeTree order by (day, uai, code)
"""
FILL = """
insert into cells
select toDate('{first}') + number, uai, code, rand() % 200 + 1
from numbers({days}) cross join (select arrayJoin({uais}) as uai) as u cross join (select arrayJoin({codes}) as code) as c
"""
ASK = """
select uai, code, sum(count) from cells
where day between '{since}' and '{until}' and code in {asked} group by uai, code
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
