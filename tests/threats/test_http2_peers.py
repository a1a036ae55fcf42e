"""Honest clients of HTTP/2 that look a little like attackers: none is sent away (G-046 to G-050; H2-11).

The library h2 speaks for them. Never here: browsers and gRPC themselves (``tests/apps``).
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.raw import Connection
from tests.threats.stage import Stage

connection_module = pytest.importorskip("h2.connection")
events = pytest.importorskip("h2.events")
from h2.config import H2Configuration  # noqa: E402
from h2.settings import SettingCodes  # noqa: E402


class Honest:
    """An HTTP/2 client of the library's: it keeps to every rule."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.http = connection_module.H2Connection(H2Configuration(client_side=True))
        self.http.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.pongs = 0
        self.is_settled = False
        self.flush()

    def flush(self) -> None:
        """Send what the library wants sent."""
        self._connection.send(self.http.data_to_send())

    def turn(self) -> None:
        """Read once, and answer what has to be answered."""
        raw = self._connection.read_some()
        assert raw, "the server has closed"
        for event in self.http.receive_data(raw):
            self._note(event)
        self.flush()

    def _note(self, event: Any) -> None:
        assert not isinstance(event, (events.ConnectionTerminated, events.StreamReset)), event
        if isinstance(event, events.DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
            # As eager as a client can be: an update for each frame, on the stream and on the connection.
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, events.PingAckReceived):
            self.pongs += 1
        elif isinstance(event, events.SettingsAcknowledged):
            self.is_settled = True

    def open(self, path: str, method: str = "POST", is_end: bool = False) -> int:
        number: int = self.http.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "t"), (":path", path)]
        self.http.send_headers(number, fields, end_stream=is_end)
        return number

    def send(self, number: int, data: bytes, is_end: bool = False) -> None:
        """Within the window."""
        self.flush()
        while self.http.local_flow_control_window(number) < len(data):
            self.turn()
        self.http.send_data(number, data, end_stream=is_end)

    def until_ended(self, *numbers: int) -> None:
        self.flush()
        while not self.ended >= set(numbers):
            self.turn()


@pytest.mark.threat("G-048", sent="6,000 DATA frames of 8 bytes, as gRPC sends small messages", verdict="served")
def test_small_messages(streams_stage: Stage) -> None:
    with streams_stage.attacked(), streams_stage.connect() as connection:
        client = Honest(connection)
        number = client.open("/body")
        for _ in range(6000):
            client.send(number, b"\0\0\0\0\3abc")
        client.send(number, b"", is_end=True)
        client.until_ended(number)
        assert client.bodies[number] == b"POST /body 48000"


@pytest.mark.threat("G-047", sent="a download whose client pings and opens windows for every frame", verdict="served")
def test_a_client_that_measures(streams_stage: Stage) -> None:
    with streams_stage.attacked(), streams_stage.connect() as connection:
        client = Honest(connection)
        number = client.open("/big/6000000", "GET", is_end=True)
        client.flush()
        pings = 0
        while number not in client.ended:
            client.turn()
            pings += 1
            client.http.ping(b"%08d" % pings)
            client.flush()
        while client.pongs < pings:
            client.turn()
        assert len(client.bodies[number]) == 6_000_000


@pytest.mark.threat("G-039", sent="100 requests, 90 of them cancelled, as by a user who types on", verdict="served")
def test_a_client_that_changes_its_mind(streams_stage: Stage) -> None:
    stage = streams_stage
    with stage.attacked(), stage.connect() as connection:
        client = Honest(connection)
        for _ in range(10):
            numbers = [client.open("/slow/0.001", "GET", is_end=True) for _ in range(10)]
            client.flush()
            for number in numbers[:9]:
                client.http.reset_stream(number, 8)
            client.until_ended(numbers[9])
        assert len(client.bodies) >= 10


@pytest.mark.threat("G-046", sent="50 changes of settings while answers are on their way", verdict="served")
def test_a_client_that_changes_its_settings(streams_stage: Stage) -> None:
    with streams_stage.attacked(), streams_stage.connect() as connection:
        client = Honest(connection)
        # The library takes any acknowledgement for that of its newest settings.
        while not client.is_settled:
            client.turn()
        numbers = [client.open("/big/300000", "GET", is_end=True) for _ in range(10)]
        for at in range(50):
            size = 200_000 if at % 2 else 1000
            client.http.update_settings(
                {SettingCodes.INITIAL_WINDOW_SIZE: size, SettingCodes.HEADER_TABLE_SIZE: at * 100}
            )
            client.flush()
            client.turn()
        client.until_ended(*numbers)
        assert {len(client.bodies[number]) for number in numbers} == {300_000}
