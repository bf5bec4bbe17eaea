"""What Kafka is told."""

from __future__ import annotations

from uuid import UUID

import pytest

from deploy.local.kafka import cluster_id


@pytest.mark.parametrize("first", ["00", "7f", "80", "f8", "fb", "ff"])
def test_a_cluster_id_is_never_taken_for_an_option(first):
    found = cluster_id(UUID(first + "ab" * 15))
    assert len(found) == 22
    assert found[0].isalpha()
