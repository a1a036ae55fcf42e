"""The stages most attacks are played on, one of each a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.threats.stage import Stage, staged

_FLAGS = ("--health-path", "/healthz", "--limit-keep-alive-requests", "3000")


@pytest.fixture(scope="session")
def asgi_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("asgi"), "asgi_site", *_FLAGS) as stage:
        yield stage


@pytest.fixture(scope="session")
def wsgi_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("wsgi"), "wsgi_site", *_FLAGS, "--threads", "4") as stage:
        yield stage


@pytest.fixture(scope="session")
def streams_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """For HTTP/2 and WebSocket."""
    with staged(tmp_path_factory.mktemp("streams"), "streams_site", *_FLAGS) as stage:
        yield stage


@pytest.fixture(scope="session")
def sockets_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """For WebSocket; messages may have 1,000 bytes."""
    with staged(tmp_path_factory.mktemp("sockets"), "streams_site", *_FLAGS, "--ws-max-size", "1000") as stage:
        yield stage


@pytest.fixture(params=["asgi", "wsgi"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Both, one after the other."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    return found


@pytest.fixture(scope="session")
def unruly_asgi_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("unruly-asgi"), "unruly_asgi") as stage:
        yield stage


@pytest.fixture(scope="session")
def unruly_wsgi_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("unruly-wsgi"), "unruly_wsgi", "--threads", "4") as stage:
        yield stage
