"""h2 as a reader of a client's frames, one frame at a time, and hpack as a reader of header blocks."""

from __future__ import annotations

from typing import Any

from tests.fuzz.peers.reading import Message, head_of

try:
    import h2.config
    import h2.connection
    import h2.errors
    import h2.events
    import h2.exceptions
    import h2.settings
except ImportError:
    h2 = None  # type: ignore[assignment]
try:
    import hpack
except ImportError:
    hpack = None  # type: ignore[assignment]


class H2:
    """The server's side; never answers."""

    def __init__(self) -> None:
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._connection.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65536,
            },
        )
        self._connection.initiate_connection()
        #: Requests by stream; resets by the client; why nothing more is read.
        self.streams: dict[int, Message] = {}
        self.reset: set[int] = set()
        self.fault = ""

    def receive(self, data: bytes) -> None:
        """Read on."""
        if self.fault:
            return
        try:
            for event in self._connection.receive_data(data):
                self._note(event)
        except h2.exceptions.ProtocolError as error:
            self.fault = f"{type(error).__name__}: {error}"

    def _note(self, event: Any) -> None:
        number = getattr(event, "stream_id", 0)
        if isinstance(event, h2.events.RequestReceived):
            self.streams[number] = Message(_head(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.streams[number].body += event.data
            self._connection.acknowledge_received_data(event.flow_controlled_length, number)
        elif isinstance(event, h2.events.TrailersReceived):
            self.streams[number].trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            self.streams[number].is_whole = True
        elif isinstance(event, h2.events.StreamReset):
            self.reset.add(number)


def _head(headers: Any) -> Any:
    named = {bytes(name): bytes(value) for name, value in headers if name.startswith(b":")}
    fields = [(bytes(name), bytes(value)) for name, value in headers if not name.startswith(b":")]
    authority = named.get(b":authority")
    if authority is not None:
        fields = [(b"host", authority), *(field for field in fields if field[0] != b"host")]
    return head_of(named.get(b":method", b""), named.get(b":path", b""), fields)


def by_hpack(blocks: list[bytes]) -> tuple[list[list[tuple[bytes, bytes]]], str]:
    """The fields of each block until one is wrong, and why that is."""
    decoder = hpack.Decoder(max_header_list_size=65536)
    found = []
    for block in blocks:
        try:
            fields = decoder.decode(block, raw=True)
        except hpack.HPACKError as error:
            return found, f"{type(error).__name__}: {error}"
        found.append([(bytes(name), bytes(value)) for name, value in fields])
    return found, ""
