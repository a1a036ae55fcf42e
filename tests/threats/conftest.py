"""The two stages most attacks are played on, one of each a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.threats.stage import Stage, staged


@pytest.fixture(scope="session")
def asgi_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("asgi"), "asgi_site") as stage:
        yield stage


@pytest.fixture(scope="session")
def wsgi_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("wsgi"), "wsgi_site", "--threads", "4") as stage:
        yield stage


@pytest.fixture(params=["asgi", "wsgi"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Both, one after the other."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    return found
