"""Which compression both sides agree on: the offers of Sec-WebSocket-Extensions and our answer (RFC 7692 section 7).

An offer that is malformed, unknown or beyond zlib is passed over, never fatal (threat G-057); the first good one is
taken. Never here: compressing (``deflate``), the rest of the handshake.
"""

from __future__ import annotations

from msgspec import Struct

from torana.base.headers import elements

NAME = b"permessage-deflate"

#: Offers that are looked at; the rest of a longer list is not.
MOST_OFFERS = 16
#: Our window: 2^12 bytes, so that a connection's compressor costs less than 40 KiB.
OUR_BITS = 12
#: The smallest window that zlib has for raw deflate; 8 is legal in an offer all the same.
LEAST_BITS = 9
MOST_BITS = 15

#: The only spellings of a window (section 7.1.2.1: no leading zero).
_BITS = {b"%d" % bits: bits for bits in range(8, MOST_BITS + 1)}

#: ``client_max_window_bits`` came without a value: the client obeys whatever we answer.
ANY_BITS = 16


class DeflateOffer(Struct, frozen=True):
    """One good offer; bits are 0 where the parameter is absent."""

    server_bits: int = 0
    client_bits: int = 0
    server_no_takeover: bool = False
    client_no_takeover: bool = False


class Deflate(Struct, frozen=True):
    """What was agreed on, seen from the server: ours is what we compress, theirs what we inflate."""

    our_bits: int = OUR_BITS
    their_bits: int = MOST_BITS
    has_our_takeover: bool = True
    has_their_takeover: bool = True


def offers(values: list[bytes]) -> list[DeflateOffer]:
    """The good offers of permessage-deflate in the values of all the fields, in the client's order."""
    found = []
    listed = [element for value in values for element in elements(value)]
    for element in listed[:MOST_OFFERS]:
        offer = _offer(element)
        if offer is not None:
            found.append(offer)
    return found


def _offer(element: bytes) -> DeflateOffer | None:
    """The offer in one element of the list; None unless every parameter is known, single and well-formed."""
    name, *parameters = [part.strip(b" \t") for part in element.split(b";")]
    if name != NAME or len(parameters) > 4:
        return None
    bits = {b"server_max_window_bits": 0, b"client_max_window_bits": 0}
    flags = {b"server_no_context_takeover": False, b"client_no_context_takeover": False}
    for parameter in parameters:
        key, equals, value = parameter.partition(b"=")
        key = key.rstrip(b" \t")
        if key in flags and not flags[key] and not equals:
            flags[key] = True
        elif key in bits and not bits[key]:
            if not equals and key == b"client_max_window_bits":
                bits[key] = ANY_BITS
            else:
                bits[key] = _BITS.get(_unquoted(value.lstrip(b" \t")), 0)
                if not bits[key]:
                    return None
        else:
            return None
    return DeflateOffer(
        bits[b"server_max_window_bits"],
        bits[b"client_max_window_bits"],
        flags[b"server_no_context_takeover"],
        flags[b"client_no_context_takeover"],
    )


def _unquoted(value: bytes) -> bytes:
    """The content of a quoted string; other values as they are. Escapes stay, for no number needs one."""
    return value[1:-1] if len(value) >= 2 and value[:1] == b'"' == value[-1:] else value


def agree(offered: list[DeflateOffer], is_crowded: bool) -> tuple[bytes, Deflate] | None:
    """The first offer that we can keep, as the field's value and the agreed parameters; None to go without.

    Crowded, nothing is kept between messages, on either side. A client that does not let us bound its window is asked
    for the same, so that the state of no connection exceeds 64 KiB (threat G-062).
    """
    for offer in offered:
        if offer.server_bits and offer.server_bits < LEAST_BITS:
            continue
        our_bits = min(offer.server_bits or MOST_BITS, OUR_BITS)
        their_bits = min(offer.client_bits, OUR_BITS) if offer.client_bits else MOST_BITS
        has_our_takeover = not (offer.server_no_takeover or is_crowded)
        has_their_takeover = not (offer.client_no_takeover or is_crowded or not offer.client_bits)
        value = b"%s; server_max_window_bits=%d" % (NAME, our_bits)
        if offer.client_bits:
            value += b"; client_max_window_bits=%d" % their_bits
        if not has_our_takeover:
            value += b"; server_no_context_takeover"
        if not has_their_takeover:
            value += b"; client_no_context_takeover"
        # Inflating needs a window at least as large as the sender's; 8 is our zlib's 9.
        return value, Deflate(our_bits, max(their_bits, LEAST_BITS), has_our_takeover, has_their_takeover)
    return None
