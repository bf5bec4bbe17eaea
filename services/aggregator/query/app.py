"""The query API, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from chassis.database import create_engine
from chassis.http import add_problem_handlers, health_router, internal_only
from services.aggregator.query.config import QuerySettings
from services.aggregator.query.handlers import router
from services.aggregator.query.scopes import Scopes
from services.aggregator.query.service import Queries
from services.aggregator.query.standing import standing_router
from services.aggregator.query.store import is_ready


def create_app(settings: QuerySettings) -> FastAPI:
    """The application of one process; its engine lives as long as it serves."""
    engine = create_engine(
        settings.usage_database.get_secret_value(), application="query", pool_size=settings.pool_size
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(title="Query", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.queries = Queries(engine, settings.clock, Scopes())
    add_problem_handlers(app)
    guarded = [Depends(internal_only(settings.internal_token))]
    app.include_router(router(), dependencies=guarded)
    app.include_router(standing_router(engine), dependencies=guarded)
    app.include_router(health_router(lambda: is_ready(engine)))
    return app
