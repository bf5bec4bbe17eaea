"""Wires the identity service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from sqlalchemy.exc import SQLAlchemyError

from chassis.database import create_engine, migrate
from chassis.http import add_problem_handlers, health_router, internal_only
from services.identity.config import IdentitySettings
from services.identity.directory import Directory
from services.identity.enrolment import Enrolments
from services.identity.fleet import Fleet
from services.identity.fleet_handlers import fleet_router
from services.identity.handlers import answer_unavailable, internal_router
from services.identity.outbox import OutboxRelay, end, keep_version_shown
from services.identity.rights_board import RightsBoard
from services.identity.tables import SCHEMA

MIGRATIONS = Path(__file__).parent / "migrations"


def create_app(settings: IdentitySettings) -> FastAPI:
    """The internal API and the background duties beside it."""
    engine = create_engine(settings.identity_database.get_secret_value(), application="identity")
    board = RightsBoard.connect(settings.redis.get_secret_value())
    directory = Directory(engine, settings.clock)
    changes = engine, board, settings.clock
    fleet = Fleet(*changes, settings.expectations)
    agents = fleet_router(directory, Enrolments(*changes), fleet, settings.agent_kafka)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await migrate(engine, MIGRATIONS, schema=SCHEMA)
        stopping = asyncio.Event()
        duties = (OutboxRelay(engine, settings.kafka, stopping).run(), keep_version_shown(directory, board, stopping))
        tasks = [asyncio.create_task(duty) for duty in duties]
        yield
        stopping.set()
        await end(tasks)
        await board.close()
        await engine.dispose()

    app = FastAPI(title="identity", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    add_problem_handlers(app)
    for error in (SQLAlchemyError, OSError):
        app.add_exception_handler(error, answer_unavailable)
    app.include_router(health_router(directory.is_ready))
    guarded = [Depends(internal_only(settings.internal_token))]
    app.include_router(internal_router(directory, settings.clock), dependencies=guarded)
    app.include_router(agents, dependencies=guarded)
    return app
