"""wsproto and websockets as readers of a client's frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fuzz.peers.reading import Message, Reading
from torana.wire.websocket.extensions import Deflate

try:
    import wsproto
    import wsproto.connection
    import wsproto.events
    import wsproto.extensions
except ImportError:
    wsproto = None  # type: ignore[assignment]
try:
    from websockets.extensions.permessage_deflate import PerMessageDeflate
    from websockets.frames import Opcode
    from websockets.protocol import OPEN, SERVER, Protocol
except ImportError:
    Protocol = None  # type: ignore[assignment,misc]


def by_wsproto(data: bytes, deflate: Deflate | None) -> Reading:
    """What wsproto reads."""
    extensions: list[Any] = []
    if deflate is not None:
        extension = wsproto.extensions.PerMessageDeflate()
        takeover = "" if deflate.has_their_takeover else "; client_no_context_takeover"
        extension.accept(f"permessage-deflate; client_max_window_bits={deflate.their_bits}{takeover}")
        extensions = [extension]
    connection = wsproto.connection.Connection(wsproto.connection.ConnectionType.SERVER, extensions)
    reading = Reading()
    try:
        connection.receive_data(data)
        for event in connection.events():
            is_failure = connection.state is wsproto.connection.ConnectionState.OPEN
            if is_failure and isinstance(event, wsproto.events.CloseConnection):
                reading.fault = event.reason or "protocol error"
                break
            _note(reading, event)
    except wsproto.utilities.RemoteProtocolError as error:
        reading.fault = str(error) or "protocol error"
    except wsproto.utilities.LocalProtocolError:
        reading.is_over = True  # Something came after the end.
    return reading


def _note(reading: Reading, event: Any) -> None:
    if isinstance(event, wsproto.events.Message):
        kind = "text" if isinstance(event, wsproto.events.TextMessage) else "binary"
        part = event.data.encode() if isinstance(event, wsproto.events.TextMessage) else bytes(event.data)
        if not reading.messages or reading.messages[-1].is_whole:
            reading.messages.append(Message(kind))
        reading.messages[-1].body += part
        reading.messages[-1].is_whole = event.message_finished
    elif isinstance(event, wsproto.events.CloseConnection):
        reading.messages = [one for one in reading.messages if one.is_whole]
        reading.messages.append(Message(("close", int(event.code), event.reason or ""), is_whole=True))
        reading.is_over = True


def by_websockets(data: bytes, deflate: Deflate | None) -> Reading:
    """What websockets reads; text is judged here, as its users' side does."""
    protocol = Protocol(SERVER, state=OPEN, max_size=1 << 24)
    if deflate is not None:
        protocol.extensions = [
            PerMessageDeflate(
                remote_no_context_takeover=not deflate.has_their_takeover,
                local_no_context_takeover=not deflate.has_our_takeover,
                remote_max_window_bits=deflate.their_bits,
                local_max_window_bits=deflate.our_bits,
            )
        ]
    reading = Reading()
    protocol.receive_data(data)
    for frame in protocol.events_received():
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            reading.messages.append(Message("text" if frame.opcode is Opcode.TEXT else "binary"))
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            reading.messages[-1].body += frame.data
            reading.messages[-1].is_whole = frame.fin
        elif frame.opcode is Opcode.CLOSE:
            reading.is_over = True
    for place, message in enumerate(reading.messages):
        if message.is_whole and message.head == "text" and not _is_text(message.body):
            reading.messages[place:] = []
            reading.fault = "not UTF-8"
            break
    closed = protocol.close_rcvd
    if closed is not None and not reading.fault:
        reading.messages = [one for one in reading.messages if one.is_whole]
        reading.messages.append(Message(("close", int(closed.code), closed.reason), is_whole=True))
    elif protocol.parser_exc is not None:
        reading.fault = reading.fault or f"{type(protocol.parser_exc).__name__}: {protocol.parser_exc}"
    return reading


def _is_text(data: bytes | bytearray) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


PEERS: dict[str, Callable[[bytes, Deflate | None], Reading]] = {}
if wsproto is not None:
    PEERS["wsproto"] = by_wsproto
if Protocol is not None:
    PEERS["websockets"] = by_websockets
