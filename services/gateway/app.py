"""Wires the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from chassis.http import add_problem_handlers, health_router
from services.gateway import catalogue, documents, figures
from services.gateway.agents import Agents, agents_router
from services.gateway.config import GatewaySettings
from services.gateway.errors import answer_fault
from services.gateway.gate import Gate, SecurityHeaders
from services.gateway.live import Live, live_router
from services.gateway.rate import RateLimit
from services.gateway.readers import Readers
from services.gateway.rights import PREFIX, check_rights
from services.gateway.rights_watch import RightsWatch
from services.gateway.upstream import IdentityClient, QueryClient, are_ready, connect, connect_redis

DESCRIPTION = "Usage statistics of a territory. Send Authorization: Bearer and a token; errors are problem+json."


def create_app(settings: GatewaySettings) -> FastAPI:
    """The public application: routes of figures and documents behind the gate."""
    redis = connect_redis(settings.redis)
    identity = IdentityClient(connect(settings.identity_url, settings.internal_token))
    query = QueryClient(connect(settings.query_url, settings.internal_token))
    watch = RightsWatch(redis, identity)
    readers = Readers(identity, watch, settings.clock)
    live = Live(settings.kafka, readers, settings.live_tick_seconds)
    agents = Agents(settings, redis, watch, identity, query)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with live.closing_on_signal():
            following = asyncio.create_task(live.follow())
            yield
            await live.end(following)
        await asyncio.gather(agents.close(), identity.client.aclose(), query.client.aclose(), redis.aclose())

    app = FastAPI(
        title="Console territoriale", version="1", description=DESCRIPTION, lifespan=lifespan,
        openapi_url=None, docs_url=None, redoc_url=None, generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    app.state.query, app.state.live = query, live
    app.openapi = lambda: documents.describe(app)  # type: ignore[method-assign]
    add_problem_handlers(app)
    app.add_exception_handler(Exception, answer_fault)
    for router in (catalogue.router, figures.router, live_router(live), agents_router(agents), documents.router):
        app.include_router(router, prefix=PREFIX)
    app.include_router(health_router(lambda: are_ready(identity.client, query.client)))
    app.add_middleware(Gate, readers=readers, rate=RateLimit(redis, settings.requests_per_minute))
    app.add_middleware(SecurityHeaders)
    check_rights(app)
    return app
