"""Sessions that stay with their worker, as one worker sees them: where a request belongs, and how it gets there.

A request on a plain HTTP/1.1 connection is passed on with its connection (``letters``, ``mail``); one on a connection
that cannot be (TLS, HTTP/2, an answer that its client still takes) is relayed over a new one (``relay``). What finds no
way is answered here, and counted. Never here: hashing, what names a session, the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

from torana.base.headers import get
from torana.base.roster import SLOTS, VERSION, Roster
from torana.net.transport import Transport
from torana.serve.affinity.choice import hash_of, owner_of, seed_of
from torana.serve.affinity.judge import CLIENT, COOKIE, HEADER, QUERY, Judge
from torana.serve.affinity.letters import Letter
from torana.serve.affinity.mail import Mailbox, Postbox
from torana.serve.affinity.marks import Both, CookieMark, Learner, compiled, minute
from torana.serve.affinity.names import (
    TOKEN_CHARACTERS,
    client_name,
    cookie_of,
    field_of,
    query_of,
    slot_in,
    wants_page,
)
from torana.serve.affinity.relay import relay
from torana.serve.connection import Connection

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints
    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.exchange.roles import Witness
    from torana.net.options import TransportOptions
    from torana.net.poller import Poller
    from torana.serve.admission import Crowd
    from torana.serve.options import SessionKey
    from torana.serve.site import Site
    from torana.wire.events import RequestHead

_log = logging.getLogger("torana")

_KINDS = {"cookie": COOKIE, "header": HEADER, "query": QUERY, "client": CLIENT}
#: How often a request is passed on before it is answered where it is: workers may know of a change at different times.
_MOST_HOPS = 3
#: How long a worker that stops waits for what another one, which does not know yet, has sent it; seconds.
_LATE_S = 0.3
#: How long what was decided is not decided anew; seconds.
_KNOWN_S = 30.0
#: From one line about requests that did not get to their worker to the next; seconds.
_COMPLAIN_S = 10.0


class Affinity(Judge):
    """Of one worker, whose slot is ``slot``; ``memory`` is the roster's. Made when its server opens its doors."""

    def __init__(
        self, keys: tuple[SessionKey, ...], slot: int, memory: memoryview, site: Site, poller: Poller, crowd: Crowd,
        options: TransportOptions,
    ) -> None:  # fmt: skip
        # For each key: what it is, its name as it stands in a request, its kind for the hash, whether it is learned,
        # and whether pages are spared.
        self._keys = [_prepared(key) for key in keys]
        self._roster = Roster(memory)
        kind, name, *_ = self._keys[0]
        Judge.__init__(self, self._roster.words, VERSION, kind, b"cookie" if kind == COOKIE else name)
        self.slot = slot
        self.site = site
        self.poller = poller
        self.crowd = crowd
        self.options = options
        self._is_in_service = bytearray(SLOTS)
        self._slots: list[int] = []
        self._seeds: list[int] = []
        self._cookie = next((name for kind, name, _, _, _ in self._keys if kind == COOKIE), None)
        self._learner = self._learner_of(keys)
        self._health_path: bytes = site.options.health_path.encode("latin-1", "replace")
        self._client: tuple[Endpoints | None, bytes] = (None, b"")
        self._postboxes: dict[int, Postbox] = {}
        #: By key: "" for our own, those of slots that have no worker by the slot's name.
        self._mailboxes: dict[str, tuple[int, Mailbox]] = {}
        #: Requests that another worker answers, as long as it does.
        self.relays: set[Any] = set()
        self._is_over = self._is_stopping = False
        #: Requests passed on, relayed, received from others, and answered here although they belong elsewhere.
        self.passed = 0
        self.relayed = 0
        self.received = 0
        self.missed = 0
        self._complained = 0
        self._complain_at = 0.0
        self._forget_at = 0.0

    # Whose it is

    def decide(self, head: RequestHead, endpoints: Endpoints, hops: int, said: bytes | None) -> int:
        if hops >= _MOST_HOPS or self._is_stopping:
            return -1
        if self._health_path and head.raw_path == self._health_path:
            return -1
        first = True
        for kind, name, salt, is_learned, spares_pages in self._keys:
            if kind == COOKIE:
                value = cookie_of(head.fields, name)
                slot = slot_in(value) if value is not None else -1
                if value is not None and slot >= 0:
                    return self._led_by(value, slot, name, salt, endpoints, said if first else None)
            else:
                if kind == HEADER:
                    value = field_of(head.fields, name)
                elif kind == QUERY:
                    value = query_of(head.query, name)
                elif spares_pages and wants_page(head.fields):
                    value = None
                else:
                    value = self._client_of(endpoints)
                if value:
                    return self._named(salt, value, is_learned, said if first else None)
            first = False
        self._begin(endpoints)
        return -1

    def _led_by(
        self, value: bytes, slot: int, name: bytes, salt: bytes, endpoints: Endpoints, said: bytes | None
    ) -> int:
        """Where a cookie leads; if nobody serves there any more, to whoever follows."""
        if slot < SLOTS and self._is_in_service[slot]:
            if said is not None and cookie_of([(b"cookie", said)], name) != value:
                # It is in another of several lines, and others may have said the same in the first.
                said = None
            return self.remember(said, -1 if slot == self.slot else slot)
        token = value[len(value) - TOKEN_CHARACTERS :]
        owner = owner_of(hash_of(salt, token), self._slots, self._seeds)
        if owner == self.slot or owner < 0:
            # From here on the session is ours, also when its own worker comes back.
            self.mark = CookieMark(name, self.slot, token, endpoints.scheme == "https")
            return -1
        return owner

    def _named(self, salt: bytes, value: bytes, is_learned: bool, said: bytes | None) -> int:
        hash_ = hash_of(salt, value)
        slot = self._roster.find(hash_, minute()) if is_learned else -1
        if slot < 0 or not self._is_in_service[slot]:
            slot = owner_of(hash_, self._slots, self._seeds)
            if is_learned:
                # It may still be learned.
                said = None
        return self.remember(said, -1 if slot == self.slot else slot)

    def _client_of(self, endpoints: Endpoints) -> bytes:
        known, name = self._client
        if known is endpoints:
            return name
        client = endpoints.client
        name = client_name(client[0]) if client is not None else b""
        self._client = (endpoints, name)
        return name

    def _begin(self, endpoints: Endpoints) -> None:
        """A session may begin here: what is to be done with the answer."""
        mark: Witness | None = self._learner
        if self._cookie is not None:
            cookie = CookieMark(self._cookie, self.slot, None, endpoints.scheme == "https")
            mark = cookie if mark is None else Both(mark, cookie)
        self.mark = mark

    def _learner_of(self, keys: tuple[SessionKey, ...]) -> Learner | None:
        fields: list[tuple[bytes, bytes]] = []
        patterns: list[Any] = []
        for key, (kind, name, salt, is_learned, _) in zip(keys, self._keys, strict=True):
            if kind == HEADER:
                fields.append((name, salt))
            elif is_learned:
                patterns.append((compiled(key.learned_by), salt))
        return Learner(self._roster, self.slot, fields, patterns) if fields or patterns else None

    def look(self) -> None:
        # Before the look: a change amid it is a version of its own.
        self._version = self._roster.version
        self.forget()
        self._slots = list(self._roster.in_service())
        self._seeds = [seed_of(slot) for slot in self._slots]
        self._is_in_service = bytearray(SLOTS)
        for slot in self._slots:
            self._is_in_service[slot] = 1
        for slot, mailbox in self._mailboxes.values():
            if slot != self.slot:
                self._tend(slot, mailbox)

    def tick(self, now: float) -> None:
        """About once a second."""
        if self._roster.version != self._version:
            self.look()
        if now >= self._forget_at:
            # What was learned counts as used when it is looked for.
            self._forget_at = now + _KNOWN_S
            self.forget()
        if self.missed > self._complained and now >= self._complain_at:
            count, self._complained = self.missed - self._complained, self.missed
            self._complain_at = now + _COMPLAIN_S
            _log.warning("%d requests were answered here, since the worker of their session did not take them", count)

    # To another worker

    def pass_on(self, connection: Connection, slot: int, data: bytes | bytearray) -> bool:
        transport = connection.transport
        postbox = self._postboxes.get(slot)
        if postbox is None or type(transport) is not Transport:
            return False
        transport.leave()
        if transport.waiting or transport.is_lost():
            return False
        served, hops = connection.served - 1, connection.hops + 1
        letter = Letter(
            connection.pass_over(), connection.endpoints, bytes(data), served=served, hops=hops,
            is_relay=connection.is_relay,
        )  # fmt: skip
        self.passed += 1
        postbox.post(letter)
        return True

    def relay(self, request: Request, response: Response, slot: int) -> bool:
        postbox = self._postboxes.get(slot)
        if postbox is None or get(request.head.fields, b"host") is None:
            # What HTTP/1.0 may leave out would be passed on as an empty Host, which is refused.
            self.missed += 1
            return False
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            self.missed += 1
            return False
        self.relayed += 1
        ends = request.endpoints
        postbox.post(Letter(theirs, ends, b"", served=0, hops=1, is_relay=True))
        relay(request, response, ours, self)
        return True

    def _returned(self, letter: Letter) -> None:
        """It could not be delivered: the connection is served here."""
        self.missed += 1
        letter.hops = _MOST_HOPS
        self._serve(letter)

    # From another worker

    def _delivered(self, letter: Letter) -> None:
        self.received += 1
        self._serve(letter)

    def _serve(self, letter: Letter) -> None:
        if self._is_over:
            letter.close()
            return
        options, crowd = self.options, self.crowd
        is_surplus = crowd.is_over_cap()
        if is_surplus:
            crowd.make_room(1)
        transport = Transport(
            letter.take(), self.poller, options.read_bytes, options.write_high_bytes, options.write_low_bytes
        )
        connection = Connection(transport, self.site, letter.endpoints, crowd)
        connection.is_surplus = is_surplus
        connection.is_relay = letter.is_relay
        connection.served = letter.served
        connection.hops = letter.hops
        crowd.joined(connection)
        try:
            transport.open()
        except OSError:
            crowd.left(connection)
            transport.close()
            return
        try:
            connection.resume(letter.data)
        except Exception:
            transport.failed()
            raise

    # The mail

    def add_postboxes(self, socks: dict[int, socket.socket]) -> None:
        """These lead to the mailboxes of slots."""
        for slot, sock in socks.items():
            old = self._postboxes.pop(slot, None)
            if old is not None:
                old.close()
            self._postboxes[slot] = Postbox(sock, self.poller, self._returned)

    def add_mailbox(self, key: str, slot: int, sock: socket.socket) -> None:
        """Take letters from this: our own, or that of a slot that has no worker for now."""
        self.release(key)
        mailbox = Mailbox(sock, self.poller, self._delivered, self._is_full)
        self._mailboxes[key] = (slot, mailbox)
        self._tend(slot, mailbox)

    def release(self, key: str) -> None:
        """Leave what came with ``key`` to others."""
        entry = self._mailboxes.pop(key, None)
        if entry is not None:
            entry[1].let_go()

    def _is_full(self) -> bool:
        # Several look after a slot: once it has a worker again, its letters must not go round among them.
        if self._roster.version != self._version:
            self.look()
        return self.crowd.is_shut()

    def _tend(self, slot: int, mailbox: Mailbox) -> None:
        # A worker that stands still for a moment keeps its letters: the sessions they are for are in its memory.
        if slot == self.slot or not self._is_in_service[slot]:
            mailbox.open()
        else:
            mailbox.pause()

    def let_go(self) -> None:
        """The worker retires: what comes for its slot is its successor's."""
        for key in list(self._mailboxes):
            self.release(key)
        self._recall()

    def _recall(self) -> None:
        """What waits is nobody's who is counted: before the last one is waited for, it has to be somebody's."""
        for postbox in self._postboxes.values():
            postbox.recall()

    async def stop(self) -> None:
        """All workers stop or retire, if not at the same moment: what comes late is still answered."""
        self._is_stopping = True
        self.forget()
        self._recall()
        for _, mailbox in self._mailboxes.values():
            mailbox.open()
        await asyncio.sleep(_LATE_S)

    def close(self) -> None:
        """The end."""
        self._is_over = True
        self.let_go()
        for postbox in self._postboxes.values():
            postbox.close()
        self._postboxes.clear()
        for relayed in list(self.relays):
            relayed.close()

    def forsake(self) -> None:
        """In a forked child: close our copies."""
        for _, mailbox in self._mailboxes.values():
            mailbox.forsake()
        for postbox in self._postboxes.values():
            postbox.forsake()
        for relayed in self.relays:
            relayed.forsake()


def _prepared(key: SessionKey) -> tuple[int, bytes, bytes, bool, bool]:
    kind = _KINDS[key.kind]
    name = key.name.encode("latin-1")
    salt = f"{key.kind[0]}:{key.name}".encode("latin-1")[:16]
    is_learned = bool(key.learned_by) or kind == HEADER
    return kind, name + b"=" if kind in (COOKIE, QUERY) else name, salt, is_learned, key.spares_pages
