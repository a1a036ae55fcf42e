"""Applications that are made on the loop, and the steps of their lives."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from torana.base.errors import LoadError
from torana.exchange.roles import Gateway
from torana.gateway.build import build
from torana.gateway.late import LateGateway
from torana.gateway.life import Life
from torana.gateway.options import GatewayOptions


class Noted(Gateway):
    """A gateway that notes what it is told."""

    def __init__(self, application: Any, notes: list[str], *, refuses: bool = False) -> None:
        self.application = application
        self.notes = notes
        self.refuses = refuses

    def takes_tunnels(self) -> bool:
        return True

    def answer(self, request: Any, response: Any) -> None:
        self.notes.append(f"answer {request}")

    async def startup(self) -> None:
        self.notes.append("gateway startup")
        if self.refuses:
            raise LoadError("refused")

    async def begin_drain(self) -> None:
        self.notes.append("gateway begin_drain")

    async def shutdown(self) -> None:
        self.notes.append("gateway shutdown")


class Told(Life):
    def __init__(self, notes: list[str], *, failing: str = "") -> None:
        self.notes = notes
        self.failing = failing

    async def startup(self) -> Any:
        return self._note("startup") or "the application"

    async def ready(self) -> None:
        self._note("ready")

    async def begin_drain(self) -> None:
        self._note("begin_drain")

    async def drained(self) -> None:
        self._note("drained")

    async def shutdown(self) -> None:
        self._note("shutdown")

    def _note(self, step: str) -> None:
        self.notes.append(f"life {step}")
        if step == self.failing:
            raise ValueError(step)


async def live(gateway: Gateway) -> None:
    await gateway.startup()
    await gateway.ready()
    await gateway.begin_drain()
    await gateway.drained()
    await gateway.shutdown()


def test_what_life_makes_is_answered_for_by_its_own_gateway() -> None:
    notes: list[str] = []
    made: list[Noted] = []

    def make(application: Any) -> Gateway:
        made.append(Noted(application, notes))
        return made[0]

    gateway = LateGateway(Told(notes), make)
    assert not gateway.takes_tunnels()
    asyncio.run(gateway.startup())
    assert made[0].application == "the application"
    assert gateway.takes_tunnels()
    assert gateway.gateway_of("one") is made[0]
    gateway.answer("one", None)
    assert notes == ["life startup", "gateway startup", "answer one"]


def test_the_application_says_goodbye_before_its_gateway_does() -> None:
    notes: list[str] = []
    asyncio.run(live(LateGateway(Told(notes), lambda application: Noted(application, notes))))
    assert notes == [
        "life startup", "gateway startup", "life ready", "life begin_drain", "gateway begin_drain", "life drained",
        "gateway shutdown", "life shutdown",
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["ready", "begin_drain", "drained", "shutdown"])
def test_a_step_that_fails_is_logged_and_the_others_come(step: str, caplog: pytest.LogCaptureFixture) -> None:
    notes: list[str] = []
    with caplog.at_level(logging.ERROR):
        asyncio.run(live(LateGateway(Told(notes, failing=step), lambda application: Noted(application, notes))))
    assert notes[-1] == "life shutdown"
    assert [record.getMessage() for record in caplog.records] == [f"A step in the application's life failed: {step}"]


def test_a_life_whose_application_refuses_is_ended() -> None:
    notes: list[str] = []
    gateway = LateGateway(Told(notes), lambda application: Noted(application, notes, refuses=True))
    with pytest.raises(LoadError, match="refused"):
        asyncio.run(gateway.startup())
    assert notes == ["life startup", "gateway startup", "life shutdown"]


def test_what_was_made_is_judged_when_it_is_made() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no lifespan")

    class Made(Life):
        async def startup(self) -> Any:
            return application

    gateway = build(Made(), "auto", GatewayOptions())
    asyncio.run(gateway.startup())
    assert gateway.takes_conversations()


def test_what_was_made_may_be_no_application() -> None:
    class Made(Life):
        async def startup(self) -> Any:
            return 5

    with pytest.raises(LoadError, match="cannot be called"):
        asyncio.run(build(Made(), "auto", GatewayOptions()).startup())
