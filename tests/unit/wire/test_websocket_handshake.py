"""The opening handshake: which requests are good ones, what is negotiated, what the answer says (threat G-057)."""

from __future__ import annotations

import zlib

import pytest

from tests.unit.wire.corpus.websocket_handshakes import OFFERS, PLAIN
from torana.wire.events import Fields, RequestHead, WireError
from torana.wire.websocket.extensions import MOST_OFFERS, Deflate, DeflateOffer, agree, offers
from torana.wire.websocket.handshake import MOST_SUBPROTOCOLS, accept_key, answer, is_websocket, offered
from torana.wire.websocket.limits import Limits

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD: Fields = [(b"host", b"t"), (b"sec-websocket-key", KEY), (b"sec-websocket-version", b"13")]


def head(fields: Fields, *, method: str = "GET", version: str = "1.1", content_length: int = 0) -> RequestHead:
    made = RequestHead()
    made.method = method
    made.version = version
    made.fields = fields
    made.content_length = content_length
    made.upgrade = b"websocket"
    return made


def but(name: bytes, *values: bytes) -> Fields:
    """The good fields, those called ``name`` replaced."""
    return [field for field in GOOD if field[0] != name] + [(name, value) for value in values]


def test_the_key_of_the_rfc() -> None:
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    fields, deflate = answer(offered(head(GOOD)), None, Limits(), False)
    assert fields == [(b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    assert deflate is None


@pytest.mark.parametrize(
    ("value", "is_it"),
    [
        (b"websocket", True), (b"WebSocket", True), (b"h2c, WEBSOCKET", True), (b"websocket/13", False),
        (b"h2c", False), (b"", False), (None, False), (b"web socket", False),
    ],
)  # fmt: skip
def test_what_names_websocket(value: bytes | None, is_it: bool) -> None:
    assert is_websocket(value) is is_it


KEY_NAME = b"sec-websocket-key"
VERSION_NAME = b"sec-websocket-version"
BAD: dict[str, tuple[RequestHead, int]] = {
    "post": (head(GOOD, method="POST"), 400),
    "body": (head(GOOD, content_length=5), 400),
    "chunked body": (head(GOOD, content_length=-1), 400),
    "no key": (head(but(KEY_NAME)), 400),
    "two keys": (head(but(KEY_NAME, KEY, KEY)), 400),
    "short key": (head(but(KEY_NAME, b"AAAA")), 400),
    "empty key": (head(but(KEY_NAME, b"")), 400),
    "key of 15 bytes": (head(but(KEY_NAME, b"AAAAAAAAAAAAAAAAAAAA")), 400),
    "key of 17 bytes": (head(but(KEY_NAME, b"dGhlIHNhbXBsZSBub25jZTE=")), 400),
    "key of 18 bytes": (head(but(KEY_NAME, b"dGhlIHNhbXBsZSBub25jZTEy")), 400),
    "key with a comma": (head(but(KEY_NAME, KEY + b", " + KEY)), 400),
    "key with a blank": (head(but(KEY_NAME, b"dGhlIHNhbXBsZSBub25jZQ= ")), 400),
    "key with other bytes": (head(but(KEY_NAME, b"dGhlIHNhbXBsZS\x00ub25jZQ==")), 400),
    "key with high bytes": (head(but(KEY_NAME, b"\xff" * 24)), 400),
    "key in the other alphabet": (head(but(KEY_NAME, b"dGhlIHNhbXBsZS-_b25jZQ==")), 400),
    "no version": (head(but(VERSION_NAME)), 426),
    "version 8": (head(but(VERSION_NAME, b"8")), 426),
    "version 12": (head(but(VERSION_NAME, b"12")), 426),
    "version 013": (head(but(VERSION_NAME, b"013")), 426),
    "versions in a list": (head(but(VERSION_NAME, b"13, 8")), 426),
    "two versions": (head(but(VERSION_NAME, b"13", b"13")), 400),
    "subprotocol with high bytes": (head([*GOOD, (b"sec-websocket-protocol", b"caf\xe9")]), 400),
    "subprotocol with a blank": (head([*GOOD, (b"sec-websocket-protocol", b"a b")]), 400),
    "10,000 subprotocols": (head([*GOOD, (b"sec-websocket-protocol", b"a," * 10_000)]), 400),
    "http/2, get": (head(GOOD, version="2", content_length=-1), 400),
    "http/2, stream ended": (head(GOOD, version="2", method="CONNECT"), 400),
    "http/2, length": (head(GOOD, version="2", method="CONNECT", content_length=5), 400),
    "http/2, no version": (head([(b"host", b"t")], version="2", method="CONNECT", content_length=-1), 426),
}


# G-057, WSP-01, WSP-02
@pytest.mark.parametrize(("request_head", "status"), BAD.values(), ids=BAD)
def test_a_bad_handshake_is_refused(request_head: RequestHead, status: int) -> None:
    with pytest.raises(WireError) as refused:
        offered(request_head)
    assert refused.value.status == status
    assert "websocket" in refused.value.reason or "subprotocol" in refused.value.reason


def test_subprotocols_of_all_fields_in_order() -> None:
    lines = [(b"sec-websocket-protocol", b"chat , super.chat"), (b"sec-websocket-protocol", b",v2,chat")]
    offer = offered(head([*GOOD, *lines]))
    assert offer.subprotocols == ["chat", "super.chat", "v2", "chat"]
    fields, _ = answer(offer, "v2", Limits(), False)
    assert fields[1:] == [(b"sec-websocket-protocol", b"v2")]
    most = b",".join(b"p%d" % number for number in range(MOST_SUBPROTOCOLS))
    assert len(offered(head([*GOOD, (b"sec-websocket-protocol", most)])).subprotocols) == MOST_SUBPROTOCOLS


# WSP-12
def test_http2_has_no_key() -> None:
    fields = [(b"host", b"t"), (b"sec-websocket-version", b"13"), (b"sec-websocket-extensions", b"permessage-deflate")]
    offer = offered(head(fields, version="2", method="CONNECT", content_length=-1))
    names = [name for name, _ in answer(offer, None, Limits(), False)[0]]
    assert names == [b"sec-websocket-extensions"]


@pytest.mark.parametrize(("value", "found"), OFFERS, ids=lambda value: repr(value)[:70])
def test_an_offer_is_good_or_passed_over(value: bytes, found: list[DeflateOffer]) -> None:
    assert offers([value]) == found
    assert offers([value, b"permessage-deflate"]) == [*found, PLAIN]
    assert offered(head([*GOOD, (b"sec-websocket-extensions", value)])).extensions == found


def test_only_so_many_offers_are_looked_at() -> None:
    assert len(offers([b"permessage-deflate," * 10_000])) == MOST_OFFERS


# WSP-09: offer -> our answer, and what is agreed on.
AGREEMENTS: list[tuple[bytes, bytes, Deflate]] = [
    (b"", b"server_max_window_bits=12; client_no_context_takeover", Deflate(12, 15, True, False)),
    (b"client_max_window_bits", b"server_max_window_bits=12; client_max_window_bits=12", Deflate(12, 12)),
    (b"client_max_window_bits=15", b"server_max_window_bits=12; client_max_window_bits=12", Deflate(12, 12)),
    (b"client_max_window_bits=10", b"server_max_window_bits=12; client_max_window_bits=10", Deflate(12, 10)),
    (b"client_max_window_bits=8", b"server_max_window_bits=12; client_max_window_bits=8", Deflate(12, 9)),
    (
        b"client_max_window_bits; server_max_window_bits=9",
        b"server_max_window_bits=9; client_max_window_bits=12",
        Deflate(9, 12),
    ),
    (
        b"client_max_window_bits; server_max_window_bits=15",
        b"server_max_window_bits=12; client_max_window_bits=12",
        Deflate(12, 12),
    ),
    (
        b"client_max_window_bits; server_no_context_takeover",
        b"server_max_window_bits=12; client_max_window_bits=12; server_no_context_takeover",
        Deflate(12, 12, False, True),
    ),
    (
        b"server_no_context_takeover; client_no_context_takeover",
        b"server_max_window_bits=12; server_no_context_takeover; client_no_context_takeover",
        Deflate(12, 15, False, False),
    ),
]


@pytest.mark.parametrize(("parameters", "said", "agreed"), AGREEMENTS, ids=lambda value: repr(value)[:60])
def test_what_is_agreed_on(parameters: bytes, said: bytes, agreed: Deflate) -> None:
    value = b"permessage-deflate" + (b"; " + parameters if parameters else b"")
    assert agree(offers([value]), False) == (b"permessage-deflate; " + said, agreed)
    zlib.compressobj(1, zlib.DEFLATED, -agreed.our_bits)
    zlib.decompressobj(-agreed.their_bits)


def test_crowded_nothing_is_kept_on_either_side() -> None:
    agreed = agree(offers([b"permessage-deflate; client_max_window_bits"]), True)
    assert agreed is not None
    assert agreed[0].endswith(b"; server_no_context_takeover; client_no_context_takeover")
    assert agreed[1] == Deflate(12, 12, False, False)


def test_a_window_that_zlib_has_not_is_declined() -> None:
    assert agree(offers([b"permessage-deflate; server_max_window_bits=8"]), False) is None
    both = agree(offers([b"permessage-deflate; server_max_window_bits=8, permessage-deflate"]), False)
    assert both is not None
    assert b"server_max_window_bits=12" in both[0]


def test_compression_can_be_off() -> None:
    offer = offered(head([*GOOD, (b"sec-websocket-extensions", b"permessage-deflate")]))
    assert len(answer(offer, None, Limits(has_deflate=False), False)[0]) == 1
    fields, deflate = answer(offer, None, Limits(), False)
    assert deflate is not None
    assert fields[1][0] == b"sec-websocket-extensions"
