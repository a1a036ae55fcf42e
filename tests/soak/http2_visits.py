"""Visits over HTTP/2, by the library h2: rounds of many streams at once, some of them cancelled.

Lives here: a client of one connection, and what each stream must bring. Never here: HTTP/1.1, and
frames by hand (``trouble``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

from tests.soak.client import Connection, Over
from tests.soak.content import content
from tests.soak.crowd import Role, World
from tests.soak.ledger import Explained, Unexplained
from tests.soak.visits import SESSION_S, SITES, digest_of

WINDOW_BYTES = 1 << 20


@dataclass
class Stream:
    """A request under way and what came of it."""

    path: str
    status: int
    expected: bytes
    #: What of the request's body was not sent yet.
    to_send: bytes = b""
    is_to_cancel: bool = False
    found_status: int = 0
    body: bytearray = field(default_factory=bytearray)
    is_over: bool = False
    is_refused: bool = False


class Http2Client:
    """One connection; ``ask`` one round after another."""

    def __init__(self, connection: Connection, scheme: str) -> None:
        self._connection = connection
        self._scheme = scheme
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        _go_on_after_goaway(self._h2)
        self._streams: dict[int, Stream] = {}
        #: The server takes no more requests here (GOAWAY).
        self.is_last = False

    async def begin(self) -> None:
        """The preface."""
        self._h2.initiate_connection()
        self._h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES})
        self._h2.increment_flow_control_window(WINDOW_BYTES)
        await self._flush()

    async def ask(self, streams: list[Stream]) -> None:
        """Send all, cancel some, and take what comes until each is over."""
        for stream in streams:
            number = self._h2.get_next_available_stream_id()
            self._streams[number] = stream
            fields = [
                (":method", "POST" if stream.to_send else "GET"), (":scheme", self._scheme),
                (":authority", "localhost"), (":path", stream.path), ("user-agent", "soak"),
            ]  # fmt: skip
            self._h2.send_headers(number, fields, end_stream=not stream.to_send)
            self._send_body(number, stream)
        await self._flush()
        await asyncio.sleep(0.005)
        for number, stream in self._streams.items():
            if stream.is_to_cancel and not stream.is_over:
                self._h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
                stream.is_over = True
        await self._flush()
        while any(not stream.is_over for stream in streams):
            await self._take()
        self._streams.clear()

    async def look_up(self) -> None:
        """Take what came while nothing was asked for: PING, GOAWAY, the end."""
        while not self._connection.is_ended():
            try:
                async with asyncio.timeout(0.01):
                    await self._take()
            except TimeoutError:
                return
            except Over:
                break
        self.is_last = True

    async def end(self) -> None:
        """Say goodbye."""
        if not self.is_last:
            self._h2.close_connection()
            await self._flush()

    def _send_body(self, number: int, stream: Stream) -> None:
        while stream.to_send:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            piece, stream.to_send = stream.to_send[:room], stream.to_send[room:]
            self._h2.send_data(number, piece, end_stream=not stream.to_send)

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            await self._connection.send(data)

    async def _take(self) -> None:
        data = await self._connection.read_some()
        if not data:
            waiting = [stream.path for stream in self._streams.values() if not stream.is_over]
            raise Over(f"{len(waiting)} streams were open ({waiting[:3]})", bool(self._streams))
        for event in self._h2.receive_data(data):
            self._note(event)
        for number, stream in self._streams.items():
            if stream.to_send and not stream.is_over:
                self._send_body(number, stream)
        await self._flush()

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self._goaway(event)
            return
        stream = self._streams.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if stream is not None:
                stream.body += event.data
        elif stream is None:
            pass
        elif isinstance(event, h2.events.ResponseReceived):
            stream.found_status = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.StreamEnded):
            stream.is_over = True
        elif isinstance(event, h2.events.StreamReset):
            self._reset(stream, event.error_code)

    def _goaway(self, event: h2.events.ConnectionTerminated) -> None:
        self.is_last = True
        if event.error_code != h2.errors.ErrorCodes.NO_ERROR:
            raise Unexplained(f"GOAWAY with {event.error_code!r}: {event.additional_data!r}")
        for number, stream in self._streams.items():
            if number > (event.last_stream_id or 0) and not stream.is_over:
                stream.is_over = stream.is_refused = True

    def _reset(self, stream: Stream, code: object) -> None:
        if stream.is_over:
            return
        stream.is_over = True
        if code == h2.errors.ErrorCodes.REFUSED_STREAM:
            stream.is_refused = True
        elif not stream.found_status or code != h2.errors.ErrorCodes.NO_ERROR:
            raise Unexplained(f"{stream.path} was reset with {code!r}")


def _go_on_after_goaway(connection: h2.connection.H2Connection) -> None:
    """For the library a GOAWAY is the end; streams that were accepted go on behind it (RFC 9113 section 6.8)."""
    machine, state = connection.state_machine, h2.connection.ConnectionState.CLIENT_OPEN
    goaway = (state, h2.connection.ConnectionInputs.RECV_GOAWAY)
    effect, _ = machine._transitions[goaway]
    machine._transitions = machine._transitions | {goaway: (effect, state)}


def stream_by_chance(world: World) -> Stream:
    """A small request, an upload, a download, a long poll, an error; one in six is to be cancelled."""
    chance = world.chance
    site = chance.choice(SITES)
    is_to_cancel = chance.random() < 1 / 6
    what = chance.random()
    if what < 0.5:
        number = world.number()
        return Stream(f"{site}/hello/{number}", 200, b"%d " % number, is_to_cancel=is_to_cancel)
    if what < 0.7:
        body = content(int(200_000 ** chance.uniform(0.3, 1)), chance.randrange(1000))
        return Stream(f"{site}/digest", 200, digest_of(body), body, is_to_cancel)
    if what < 0.95:
        size = int(500_000 ** chance.uniform(0.3, 1))
        return Stream(f"{site}/stream/{size}", 200, content(size), is_to_cancel=is_to_cancel)
    return Stream(f"{site}/wait/{chance.uniform(0.05, 0.5):.2f}", 200, b"waited", is_to_cancel=is_to_cancel)


def check(stream: Stream) -> None:
    """Whether an answer is the one to its request."""
    body = bytes(stream.body)
    if stream.path.partition("hello/")[1]:
        body = body[: len(stream.expected)]
    if stream.found_status != stream.status or body != stream.expected:
        found = f"{stream.found_status} with {len(stream.body)} bytes {bytes(stream.body[:60])!r}"
        raise Unexplained(f"{stream.path}: {found} where {stream.status} {stream.expected[:60]!r} was due")


async def rounds(world: World) -> None:
    """Some rounds of 1 to 16 streams."""
    async with await Connection.open(world.place, world.place.tls_http2) as connection:
        client = Http2Client(connection, "https" if world.place.tls_http2 else "http")
        await client.begin()
        for _ in range(world.chance.randint(1, 40)):
            streams = [stream_by_chance(world) for _ in range(world.chance.randint(1, 16))]
            await _round(client, streams, world)
            await world.pause(0.8)
            await client.look_up()
            if client.is_last or connection.is_ended() or world.is_over:
                break
        await client.end()


async def _round(client: Http2Client, streams: list[Stream], world: World) -> None:
    try:
        await client.ask(streams)
    except Over as over:
        # Everything that was accepted has been answered when a server closes; what was under way crossed its GOAWAY.
        if world.place.is_renewed and client.is_last:
            raise Explained("a retiring worker had said goodbye") from None
        raise over
    for stream in streams:
        if stream.is_refused:
            if not world.place.is_renewed:
                raise Unexplained(f"{stream.path} was refused")
            world.explained("stream refused by a retiring worker")
        elif stream.is_to_cancel:
            world.explained("stream cancelled")
        else:
            check(stream)
            world.done()


ROLES = [Role("HTTP/2", 2, 1.0, rounds, SESSION_S)]
