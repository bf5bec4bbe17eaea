"""Wires the aggregator: a consumer, its duties beside it, and a small internal door for health, counters and AsyncAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from chassis.http import add_problem_handlers, health_router, internal_only
from services.aggregator.config import AggregatorSettings
from services.aggregator.door import internal_router, public_router
from services.aggregator.running import Aggregator


def create_app(settings: AggregatorSettings, *, end: Callable[[], None]) -> FastAPI:
    """The app whose lifespan consumes. Past help, it calls `end`; `app.state.aggregator` then tells why."""
    aggregator = Aggregator(settings, end)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(aggregator.run())
        yield
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    app = FastAPI(title="aggregator", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.aggregator = aggregator
    add_problem_handlers(app)
    app.include_router(health_router(aggregator.ready))
    app.include_router(public_router(aggregator))
    app.include_router(internal_router(aggregator), dependencies=[Depends(internal_only(settings.internal_token))])
    return app
