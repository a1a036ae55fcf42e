"""Lifespan 2.0: startup before serving, shutdown after it, and what an application without lifespan gets."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, ServerFailed, child_environment, command_for, running

HERE = Path(__file__).parent


def ask(server: Server, target: str = "/") -> dict[str, Any]:
    with Connection(server.address) as connection:
        answer = connection.ask("GET", target)
    assert answer.status == 200
    result: dict[str, Any] = json.loads(answer.body)
    return result


def failed_start(app: str, *flags: str) -> tuple[int, str]:
    """Exit code and log of a server that must not come up."""
    server = Server(command_for(f"lifespan_probe:{app}", *flags, app_dir=HERE), HERE, child_environment())
    try:
        with pytest.raises(ServerFailed):
            server.wait_until_ready()
        return server.process.wait(20), server.log
    finally:
        if server.process.poll() is None:
            server.kill()


def test_whole_life() -> None:
    with running("lifespan_probe:whole", app_dir=HERE) as server:
        assert server.log.index("startup done") < server.log.index("Listening on")
        seen = ask(server)
    assert seen["told"] == [
        {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {},
            "extensions": {"torana.lifecycle": {}},
        },
        {"type": "lifespan.startup"},
    ]
    assert seen["one_loop"] is True
    assert seen["state"] == ["filled", "later"], "keys added after startup reach later requests"
    assert server.log.index('{"type": "lifespan.shutdown"}') < server.log.index("shutdown done")
    assert "Traceback" not in server.log


def test_shutdown_waits_for_running_requests() -> None:
    with running("lifespan_probe:whole", app_dir=HERE) as server:
        with Connection(server.address) as connection:
            connection.request("GET", "/slow")
            server.wait_for_log("slow began")
            server.process.send_signal(signal.SIGTERM)
            assert connection.read().status == 200
    assert server.log.index("slow ended") < server.log.index("lifespan.shutdown")


@pytest.mark.parametrize("app", ["raises", "raises_in_startup", "returns"])
def test_application_without_lifespan_is_served(app: str) -> None:
    with running(f"lifespan_probe:{app}", app_dir=HERE) as server:
        assert ask(server)["told"] == []
        assert ask(server)["one_loop"] is True


def test_exception_in_startup_is_shown() -> None:
    with running("lifespan_probe:raises_in_startup", app_dir=HERE) as server:
        assert "startup broke" in server.log


@pytest.mark.parametrize("app", ["raises", "raises_in_startup", "returns"])
def test_lifespan_on_makes_it_fatal(app: str) -> None:
    code, log = failed_start(app, "--lifespan", "on")
    assert code == 3
    if app != "returns":
        assert "RuntimeError" in log


def test_lifespan_off_calls_nothing() -> None:
    with running("lifespan_probe:fails", "--lifespan", "off", app_dir=HERE) as server:
        assert ask(server)["told"] == []


@pytest.mark.parametrize("app", ["fails", "fails_and_catches"])
def test_failed_startup_ends_the_server(app: str) -> None:
    code, log = failed_start(app)
    assert code == 3
    assert "the database is away" in log


def test_failed_shutdown_is_logged() -> None:
    with running("lifespan_probe:shutdown_fails", app_dir=HERE, expect_exit=None) as server:
        ask(server)
    assert "could not tidy up" in server.log


@pytest.mark.parametrize("app", ["ends_early", "crashes_late"])
def test_lifespan_that_ends_early_does_no_harm(app: str) -> None:
    with running(f"lifespan_probe:{app}", app_dir=HERE) as server:
        assert ask(server)["told"] == []
        if app == "crashes_late":
            server.wait_for_log("lifespan crashed late")
        assert ask(server)["told"] == []


def test_messages_out_of_order_raise() -> None:
    with running("lifespan_probe:misorders", app_dir=HERE) as server:
        assert ask(server)["told"] == ["raised"] * 4


def test_startup_that_never_ends_is_fatal_when_its_time_is_up() -> None:
    code, log = failed_start("never", "--timeout-startup", "1")
    assert code == 3
    assert "startup" in log


def test_stop_during_startup() -> None:
    server = Server(command_for("lifespan_probe:never", app_dir=HERE), HERE, child_environment())
    try:
        server.wait_for_log("startup began")
        assert server.stop() == 0
        assert "Listening on" not in server.log
        assert "lifespan.shutdown" not in server.log
    finally:
        if server.process.poll() is None:
            server.kill()
