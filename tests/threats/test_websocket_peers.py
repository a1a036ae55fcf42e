"""Honest clients of WebSocket that look a little like attackers: none is sent away (G-059 to G-063).

The libraries websockets and wsproto speak for them. Never here: what frameworks make of it (``tests/apps``).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.raw import Connection
from tests.threats.stage import Stage

client_module = pytest.importorskip("websockets.sync.client")
wsproto = pytest.importorskip("wsproto")


def _connected(stage: Stage, **how: Any) -> Any:
    host, port = stage.address
    return client_module.connect(f"ws://{host}:{port}/chat", **how)


@pytest.mark.threat("G-063", sent="400 pings, each answered before the next, among 400 messages", verdict="served")
def test_a_client_that_pings(streams_stage: Stage) -> None:
    with streams_stage.attacked(), _connected(streams_stage, compression=None) as client:
        for number in range(400):
            pong = client.ping()
            client.send(f"{number}")
            assert client.recv() == f"{number}"
            assert pong.wait(20.0)


@pytest.mark.threat("G-061", sent="a message in 1,000 fragments of the library's", verdict="served")
def test_a_client_of_fragments(streams_stage: Stage) -> None:
    with streams_stage.attacked(), _connected(streams_stage) as client:
        client.send(f"{number:04}" for number in range(1000))
        assert client.recv() == "".join(f"{number:04}" for number in range(1000))


@pytest.mark.threat("G-062", sent="2 MiB that compress well, both ways", verdict="served")
def test_a_client_that_compresses(streams_stage: Stage) -> None:
    message = "honest " * 300_000
    with streams_stage.attacked(growth_bytes=16 * 1024 * 1024), _connected(streams_stage, max_size=None) as client:
        for _ in range(3):
            client.send(message)
            assert client.recv() == message


@pytest.mark.threat("G-059", sent="3,000 messages before any answer is read", verdict="served")
def test_a_client_that_talks_first(streams_stage: Stage) -> None:
    from wsproto.events import AcceptConnection, CloseConnection, Message, Request, TextMessage

    with streams_stage.attacked(), Connection(streams_stage.address) as connection:
        speaker = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        connection.send(speaker.send(Request(host="test.example", target="/chat")))
        heard: list[str] = []
        part = ""
        is_sent = is_over = False
        while not is_over:
            speaker.receive_data(connection.read_some())
            for event in speaker.events():
                if isinstance(event, AcceptConnection):
                    connection.send(b"".join(speaker.send(Message(data=f"{number}")) for number in range(3000)))
                    is_sent = True
                elif isinstance(event, TextMessage):
                    part += event.data
                    if event.message_finished:
                        heard.append(part)
                        part = ""
                elif isinstance(event, CloseConnection):
                    assert event.code == 1000
                    is_over = True
            if is_sent and len(heard) == 3000 and not is_over and speaker.state.name == "OPEN":
                connection.send(speaker.send(CloseConnection(code=1000)))
        assert heard == [str(number) for number in range(3000)]
