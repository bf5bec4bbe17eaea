"""GET /catalogue: what its caller may see of the catalogue. Nothing here is asked of another service."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.catalogue import CATALOGUE, Column
from contracts.published_catalogue import published
from contracts.scope import Sight
from services.gateway.figures import Caller, documented

router = APIRouter(tags=["catalogue"], default_response_class=Response)


class CatalogueParameters(BaseModel):
    """The language of definitions; labels are those of the screens, French."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lang: Annotated[Literal["fr", "en"], Field(description="Language of the definition cards.")] = "fr"


@router.get("/catalogue", responses=documented("CatalogueAnswer"), summary="Menus, tables, columns, definitions")
async def catalogue(asked: Annotated[CatalogueParameters, Query()], reader: Caller) -> Response:
    """Only what the caller may see; a client needs no list of its own."""
    return Response(_told(reader.sight, asked.lang), media_type="application/json")


@lru_cache(maxsize=128)
def _told(sight: Sight, language: Literal["fr", "en"]) -> bytes:
    return msgspec.json.encode(published(lambda column: sees(sight, column), language))


def sees(sight: Sight, column: Column) -> bool:
    """Whether the column is communicated to the reader for some establishment; the query API's verdict says for which."""
    widgets = sight.widgets if "authority" in CATALOGUE.indicators[column.indicator].audience else sight.exact_widgets
    return column.widget in widgets
