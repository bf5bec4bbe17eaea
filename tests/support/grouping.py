"""Tests that share a stack go to one worker, as their mark says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Write the group where pytest 9.2 keeps an id; pytest-xdist 3.8 writes it where older ones did, and groups nothing.

    A worker's scheduler reads the group after the last @ of an id. Once xdist does it again, this adds nothing.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark and not item.nodeid.endswith(suffix := f"@{mark.args[0]}"):
            item._id = type(item.id).parse(item.nodeid + suffix)
