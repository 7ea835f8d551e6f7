"""Fixtures over the hosts of this scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra

from ansible_collections.pgstead.ops.molecule.shared.failures import pytest_runtest_makereport  # noqa: F401 - a hook
from ansible_collections.pgstead.ops.molecule.shared.hosts import VERSIONS, Server, servers, settle


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Server:
    return Server(request.param, testinfra.get_host(f"docker://{request.param}"))


@pytest.fixture
def both() -> list[Server]:
    return servers()


@pytest.fixture
def restored() -> Iterator[None]:
    """Bring the hosts back to the inventory after a test that changed them."""
    yield
    settle()
