"""One exchange carried on as HTTP/1.1, to somebody who speaks it himself: an application's own protocol, a worker.

The request goes out as a head and a body, as fast as it is taken; what comes back becomes the response, interim
responses and trailers included; after a 101 the bytes go both ways. Slowness on either side is felt on the other.
Never here: what is at the other end of the pipe, sockets, HTTP's grammar (``wire/http1/client``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from torana.exchange.carrier import Carrier, Speaker
from torana.exchange.request import Request
from torana.exchange.response import ApplicationError, ClientDisconnected, Response
from torana.exchange.roles import Answerer
from torana.gateway.failure import log_failure, log_warning, plain
from torana.gateway.handshake import agreed_fields, handshake_fields, is_handshake
from torana.gateway.pipe import Pipe
from torana.gateway.readings import target_below
from torana.wire.events import NEED_DATA, EndOfBody, WireError
from torana.wire.http1.client import NO_BODY, UNKNOWN, Interim, ResponseHead, ResponseReader, chunk, end, request_head

#: Pieces up to this size are copied into one with what frames them; bytes.
_JOIN_BYTES = 16 * 1024
#: Pieces up to this size may wait a moment for those of others.
_SMALL_BYTES = 8 * 1024
#: The protocol that is asked for, in the words of an HTTP/1.1 client.
_WEBSOCKET = b"websocket"


class InnerExchange(Answerer):
    """One exchange after the other on one pipe. ``over(is_reusable)`` is called at the end of each: whether the pipe
    can take another; if not, it was closed or aborted before.
    """

    def __init__(self, pipe: Pipe, over: Callable[[bool], None] | None, reader: ResponseReader | None = None) -> None:
        self.pipe = pipe
        self.reader = ResponseReader() if reader is None else reader
        self.request: Request | None = None
        self.response: Response | None = None
        #: After a 101.
        self.carrier: Carrier | None = None
        #: The answer when the other end leaves without one.
        self.early_status = 502
        #: A Server field of this value is not the application's own, and is left out.
        self.own_server: bytes | None = None
        #: What is cut off the beginning of each target where it stands there, one after the other, percent-encoded.
        self.prefixes: tuple[bytes, ...] = ()
        #: Nothing runs: ``start`` may be called.
        self.is_over = True
        #: All of the request was sent.
        self.is_sent = True
        self._tell_over = over
        self._is_chunked = self._waits_for_continue = self._is_pushing = self._is_paused = False
        self._has_asked = self._is_answered = self._has_trailers = False
        self._stops = 0

    def take_on(self, request: Request, response: Response) -> None:
        """Begin; nothing is sent yet."""
        self.request = request
        self.response = response
        self.is_over = self._is_answered = self._is_paused = self._waits_for_continue = False
        self._has_asked = self._is_chunked = False
        self.is_sent = True
        self._stops = 0
        request.answerer = self

    def start(self, request: Request, response: Response) -> None:
        """Begin: send what is there of the request. Must not raise, like ``Gateway.answer``."""
        self.take_on(request, response)
        head = request.head
        length = head.content_length
        fields = head.fields
        method = head.method
        target = head.target
        upgrade = b""
        if head.upgrade is not None and is_handshake(head):
            self._has_asked = True
            fields, method, length, upgrade = handshake_fields(head), "GET", NO_BODY, _WEBSOCKET
        elif length < 0 and request.is_ended and not request.trailers:
            length = request.buffered
        if target[:1] != b"/" and target != b"*":
            # The authority of a whole URL has become the Host already.
            target = head.raw_path + b"?" + head.query if head.query else head.raw_path
        for prefix in self.prefixes:
            target = target_below(target, prefix)
        try:
            data = request_head(method, target, fields, length, upgrade)
        except WireError as error:
            log_warning(f"A request that cannot be passed on ({error.reason})", head)
            self._answer_instead(error.status)
            self._end(True)
            return
        self.reader.begin(method == "HEAD")
        self._is_chunked = length == UNKNOWN
        self.is_sent = length <= 0 and not self._is_chunked
        if self.is_sent:
            self.pipe.write(data)
            return
        self._waits_for_continue = head.expects_continue
        if request.buffered and not self._is_chunked and not self._waits_for_continue:
            # While the flag is set, what arrives because of the taking waits for ``_push``.
            self._is_pushing = True
            data += request.take()
            self._is_pushing = False
        self.pipe.write(data)
        if not self._waits_for_continue:
            self._push()

    # The request, on its way out

    def body_arrived(self) -> None:
        if not self._waits_for_continue:
            self._push()

    def _push(self) -> None:
        """Send of the body what is there and taken."""
        if self._is_pushing or self.is_sent:
            return
        self._is_pushing = True
        request, pipe = self.request, self.pipe
        try:
            while request is not None and not self.is_sent and not pipe.is_full():
                data = request.take()
                if data:
                    self._send(data)
                elif request.is_ended:
                    self.is_sent = True
                    if self._is_chunked:
                        pipe.write(end(request.trailers or []))
                elif request.is_broken:
                    return
                else:
                    request.channel.want_body()
                    if request.buffered == 0 and not request.is_ended:
                        return
                request = self.request
        finally:
            self._is_pushing = False

    def _send(self, data: bytes) -> None:
        pipe = self.pipe
        if not self._is_chunked:
            pipe.write(data)
            return
        before, after = chunk(data)
        if len(data) <= _JOIN_BYTES:
            pipe.write(before + data + after)
        else:
            pipe.write(before)
            pipe.write(data)
            pipe.write(after)

    def drained(self) -> None:
        """There is room again: for more of the response at the client, or of the request at the pipe."""
        if self.is_over:
            return
        carrier = self.carrier
        if carrier is not None:
            if self._is_paused and not carrier.is_full():
                self._is_paused = False
                self.pipe.set_reading(True)
            if not self.pipe.is_full():
                carrier.set_reading(True)
            return
        if self._is_paused and self.response is not None and not self.response.channel.is_full():
            self._is_paused = False
            self.pipe.set_reading(True)
        if not self._waits_for_continue:
            self._push()

    # The response, on its way in

    def received(self, data: bytes) -> None:
        """The pipe: bytes have come from the other end."""
        if self.carrier is not None:
            self._pass_on(data)
        elif not self.is_over:
            self.reader.receive(data)
            self._read()

    def ended(self) -> None:
        """The pipe: nothing more will come from the other end."""
        if self.is_over:
            return
        if self.carrier is not None:
            self.carrier.finish()
            self._end(False)
        else:
            self.reader.receive_eof()
            self._read()

    def _read(self) -> None:
        """Hand on all that has come."""
        try:
            self._hand_on()
        except ClientDisconnected:
            self._client_gone()
        except (WireError, ApplicationError) as error:
            self._failed(error)

    def _hand_on(self) -> None:
        reader, response = self.reader, self.response
        assert response is not None
        held: bytes | None = None
        while True:
            event = reader.next()
            if type(event) is bytes:
                # Kept until it is known whether it is the last: a whole answer leaves in one piece.
                if held:
                    response.write(held, False)
                held = event
            elif type(event) is ResponseHead:
                if event.status == 101:
                    self._upgrade(event)
                    return
                self._begin(event)
                held = b""
            elif type(event) is EndOfBody:
                self._complete(held or b"", event.trailers)
                return
            elif type(event) is Interim:
                self._inform(event)
            else:
                assert event is NEED_DATA
                if held is not None:
                    response.write(held, False)
                    if response.channel.is_full():
                        self._pause()
                return

    def _begin(self, head: ResponseHead) -> None:
        fields = head.fields
        self._has_trailers = False
        if self.own_server is not None:
            fields = _without(fields, self.own_server)
        if head.length < 0:
            for name, _ in fields:
                if name == b"trailer":
                    self._has_trailers = True
        assert self.response is not None
        self.response.start(head.status, fields, head.reason or None, self._has_trailers)

    def _complete(self, data: bytes, trailers: Any) -> None:
        response = self.response
        assert response is not None
        # Before the last word: with it, the exchange is over for everybody else.
        self._is_answered = True
        is_reusable = self.is_sent and not self._has_asked and self.reader.is_reusable()
        response.write(data, True)
        if self._has_trailers:
            response.trailers(trailers, True)
        if not is_reusable:
            self.pipe.close()
        self._end(is_reusable)

    def answer_whole(self, status: int, reason: bytes | None, fields: Any, data: Any, keep_alive: bool) -> None:
        """The whole response, by whoever would only have written it down to be read here again.

        ``keep_alive``: whether the other end means to take another request.
        """
        response = self.response
        if self.is_over or response is None:
            return
        try:
            response.start(status, fields, reason)
            self._is_answered = True
            is_reusable = keep_alive and self.is_sent and not self._has_asked
            response.write(data, True)
            if not is_reusable:
                self.pipe.close()
            self._end(is_reusable)
        except ClientDisconnected:
            self._client_gone()
        except ApplicationError as error:
            self._failed(error)

    def _inform(self, interim: Interim) -> None:
        if interim.status == 100:
            if self._waits_for_continue:
                self._waits_for_continue = False
                # Not at once: the other end is in the midst of saying so.
                asyncio.get_running_loop().call_soon(self._go_on)
        elif interim.status == 103:
            links = [value for name, value in interim.fields if name == b"link"]
            if links:
                assert self.response is not None
                self.response.hint(links)

    def _go_on(self) -> None:
        self.drained()

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.pipe.set_reading(False)

    # After a 101

    def _upgrade(self, head: ResponseHead) -> None:
        request, response = self.request, self.response
        assert request is not None and response is not None
        if not self._has_asked:
            raise WireError(502, "unasked-upgrade")
        fields = head.fields if self.own_server is None else _without(head.fields, self.own_server)
        request.answerer = None
        carrier = response.upgrade(agreed_fields(request.head, fields), Tunnelled(self))
        self.carrier = carrier
        rest = self.reader.rest()
        if rest:
            self._pass_on(rest)

    def pass_in(self, data: bytes) -> None:
        """The client has said something."""
        if not self.is_over:
            self.pipe.write(data)
            if self.carrier is not None and self.pipe.is_full():
                self.carrier.set_reading(False)

    def _pass_on(self, data: bytes) -> None:
        carrier = self.carrier
        if carrier is None or self.is_over:
            return
        if len(data) <= _SMALL_BYTES:
            carrier.post(data)
        else:
            carrier.write(b"", data)
        if not self.is_over and carrier.is_full():
            self._pause()

    # The end

    def disconnected(self) -> None:
        if not self._is_answered and not self.is_over:
            self._client_gone()

    def stop(self) -> None:
        """First time: end what has begun, for it may never end by itself. Second time: end all."""
        self._stops += 1
        if self._stops > 1 or (self.response is not None and self.response.is_begun()):
            self.fail(503)

    def stop_tunnel(self) -> None:
        """As ``stop``, after a 101; the first time, whoever speaks on the tunnel has been told by other ways."""
        self._stops += 1
        if self._stops > 1:
            self.fail(503)

    def fail(self, status: int) -> None:
        """Answer this instead, or cut what has begun; the other end is told that its client is gone."""
        if self.is_over:
            return
        if self.carrier is not None:
            self.carrier.cut()
        else:
            self._answer_instead(status)
        self.pipe.abort()
        self._end(False)

    def _client_gone(self) -> None:
        response = self.response
        assert response is not None
        response.lose()
        self.pipe.abort()
        # The client may hold its end still.
        response.channel.abort()
        self._end(False)

    def _failed(self, error: Exception) -> None:
        """What came back was no proper response."""
        request = self.request
        assert request is not None
        if isinstance(error, WireError):
            log_warning(f"Not a proper response ({error.reason})", request.head)
        else:
            log_failure(error, request.head, "Not a lawful response")
        self.fail(self.early_status)

    def _answer_instead(self, status: int) -> None:
        response = self.response
        assert response is not None
        self._is_answered = True
        fields, body = plain(status)
        try:
            if not response.replace(status, fields, body):
                response.abort()
        except OSError:
            response.abort()

    def say_over(self, is_reusable: bool) -> None:
        """Tell whoever has the pipe."""
        if self._tell_over is not None:
            self._tell_over(is_reusable)

    def _end(self, is_reusable: bool) -> None:
        if self.is_over:
            return
        self.is_over = True
        request, response, carrier = self.request, self.response, self.carrier
        # Nothing of the exchange is held by what may wait long for the next.
        self.request = self.response = self.carrier = None
        if request is not None:
            request.answerer = None
        self.say_over(is_reusable)
        if carrier is not None:
            carrier.settled()
        elif response is not None:
            response.channel.ended()


class Tunnelled(Speaker):
    """The speaker of an upgraded exchange: passes on what its client says."""

    def __init__(self, exchange: InnerExchange) -> None:
        self._exchange = exchange

    def received(self, data: bytes) -> None:
        self._exchange.pass_in(data)

    def drained(self) -> None:
        self._exchange.drained()

    def lost(self) -> None:
        exchange = self._exchange
        if not exchange.is_over:
            exchange.pipe.abort()
            exchange._end(False)

    def stop(self) -> None:
        self._exchange.stop_tunnel()

    def is_over(self) -> bool:
        return self._exchange.is_over


def _without(fields: list[tuple[bytes, bytes]], server: bytes) -> list[tuple[bytes, bytes]]:
    """``fields`` without a Server field of this value."""
    for i, (name, value) in enumerate(fields):
        if name == b"server" and value == server:
            del fields[i]
            break
    return fields
