"""Fifty sessions before the gateway, each asking for a table of a thousand establishments every two seconds, any window.

Run: python -m bench.gateway. The whole stack runs: gateway, identity, query, Valkey, Kafka, PostgreSQL, and what asks, on the same
cores. Sheets are written straight into PostgreSQL once the territory stands.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence

import click
import numpy as np
from pydantic import SecretStr

from bench.memory import peak_mb
from bench.progress import say
from bench.results import Result, figure, show
from bench.sheets import NOW, fill
from bench.stacks import OK, Door, Whole, whole_stack
from bench.traffic import uais_of
from chassis.database import create_engine
from deploy.local.stack import service_environment
from services.identity.config import RegistrarSettings
from services.identity.service import open_registrar

SESSIONS = 50
EVERY_S = 2.0
WARM_UP_S = 6.0
TABLE = "connexions.authentifiees"
FIRST_LINE = '{"at": "2026-11-19T10:00:00+01:00", "kind": "heartbeat"}\n'
QUESTIONS = [
    f"/tables/{TABLE}?window={window}&display={display}"
    for window in ("last-day", "current-month", "last-month", "current-year")
    for display in ("values", "rates")
]


@click.command()
@click.option("--establishments", default=1000, show_default=True, help="Lines of the table.")
@click.option("--seconds", default=30.0, show_default=True, help="How long the sessions ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def main(establishments: int, seconds: float, as_json: bool) -> None:
    """Milliseconds from a request to the last byte of its answer, and the memory of the process that reads."""
    say(f"bringing up a territory of {establishments:,} establishments")
    with whole_stack(uais_of(establishments), FIRST_LINE, NOW) as whole:
        show(asyncio.run(measure(whole, uais_of(establishments), seconds)), as_json=as_json)


async def measure(whole: Whole, uais: Sequence[str], seconds: float) -> list[Result]:
    """Ask, and forget the first answers: each session's rights are read once, each process gets warm."""
    await _fill(whole, uais)
    tokens = await _tokens(whole)
    say(f"{SESSIONS} sessions ask for {seconds:.0f} s")
    sessions = [_session(whole, token, number, seconds) for number, token in enumerate(tokens)]
    answers = list(itertools.chain.from_iterable(await asyncio.gather(*sessions)))
    p50, p99 = np.percentile([took for _, took in answers], (50, 99))
    return [
        figure("gateway.p50", round(p50, 1), "ms"),
        figure("gateway.p99", round(p99, 1), "ms"),
        figure("gateway.answers", round(len(answers) / seconds, 1), "answers/s"),
        figure("gateway.refused", sum(status != OK for status, _ in answers), "answers"),
        *(
            figure(f"gateway.memory.{service}", peak_mb(whole.pid_of(service)), "MB")
            for service in ("query", "gateway")
        ),
    ]


async def _fill(whole: Whole, uais: Sequence[str]) -> None:
    say("filling sheets")
    engine = create_engine(service_environment(whole.site)["TERRITORIALE_USAGE_DATABASE"], application="bench")
    await fill(engine, uais)
    await engine.dispose()


async def _tokens(whole: Whole) -> list[str]:
    """A token for each session, so that each has its rights looked up and held on its own."""
    addresses = service_environment(whole.site)
    settings = RegistrarSettings(
        identity_database=SecretStr(addresses["TERRITORIALE_IDENTITY_DATABASE"]),
        redis=SecretStr(addresses["TERRITORIALE_REDIS"]),
    )
    async with open_registrar(settings) as registrar:
        territory = (await registrar.territories())[0].id
        return [(await registrar.create_token(territory, f"bench {n}")).token for n in range(SESSIONS)]


async def _session(whole: Whole, token: str, number: int, seconds: float) -> list[tuple[int, float]]:
    """One reader's answers, status and milliseconds; readers start evenly spread over the two seconds."""
    answers: list[tuple[int, float]] = []
    questions = _questions(number)
    started = time.perf_counter() + number * EVERY_S / SESSIONS
    async with Door(whole.stack.url, token) as door:
        for due in np.arange(0, WARM_UP_S + seconds, EVERY_S):
            await asyncio.sleep(started + due - time.perf_counter())
            asked = time.perf_counter()
            status, _ = await door.ask(next(questions))
            if due >= WARM_UP_S:
                answers.append((status, 1000 * (time.perf_counter() - asked)))
    return answers


def _questions(number: int) -> Iterator[str]:
    """All windows in turn, each session beginning with another one."""
    return itertools.islice(itertools.cycle(QUESTIONS), number, None)


if __name__ == "__main__":
    main()
