"""Names of the fields by which a proxy speaks for its client: one list that parser, serve and edge all ask.

Here: which names count (RFC 7239, and the X-Forwarded family that no standard describes).
Never here: what the fields mean or whom to believe (``serve/forwarded.py``).
"""

from __future__ import annotations

_PLAIN = (
    b"forwarded",
    b"x-real-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-original-forwarded-for",
    b"true-client-ip",
    b"cf-connecting-ip",
    b"cf-connecting-ipv6",
    b"fastly-client-ip",
    b"fly-client-ip",
    b"x-url-scheme",
    b"x-scheme",
    b"front-end-https",
    b"client-cert",
    b"client-cert-chain",
    b"x-client-cert",
    b"x-client-dn",
    b"x-amzn-mtls-clientcert",
)

_STEMS = (b"x-forwarded-", b"x-ssl-", b"ssl-client-")


def _both_spellings(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """With "_" for "-" as well: a gateway that joins the two spellings must not find a way around us (G-075)."""
    return names + tuple(name.replace(b"-", b"_") for name in names if b"-" in name)


#: Lower-cased names that only a proxy should send.
FORWARDING_NAMES: frozenset[bytes] = frozenset(_both_spellings(_PLAIN))
#: Beginnings of lower-cased names that only a proxy should send ("x-forwarded-for", "x-forwarded-user", ...).
FORWARDING_STEMS: tuple[bytes, ...] = _both_spellings(_STEMS)
#: First bytes of all those names: a parser looks further only when a name begins with one of them.
FORWARDING_INITIALS: frozenset[int] = frozenset(name[0] for name in FORWARDING_NAMES) | {ord("x"), ord("s")}


def is_forwarding(name: bytes) -> bool:
    """Whether a lower-cased field name belongs to the forwarding fields."""
    return name in FORWARDING_NAMES or name.startswith(FORWARDING_STEMS)
