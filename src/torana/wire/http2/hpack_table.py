"""HPACK's tables: the static one (RFC 7541 appendix A), the dynamic one, and how the encoder treats each name.

Never here: bytes of a block; those are the decoder's and the encoder's.
"""

from __future__ import annotations

Field = tuple[bytes, bytes]
Fields = list[Field]

#: What an entry is taken to cost beside its bytes (section 4.1).
ENTRY_COST = 32
#: The encoder's table is never larger, whatever the peer allows (threat G-045); every table begins with this size.
MOST_TABLE = 4096

_NAMES = (
    b":authority :method :method :path :path :scheme :scheme :status :status :status :status :status :status :status "
    b"accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow "
    b"authorization cache-control content-disposition content-encoding content-language content-length "
    b"content-location content-range content-type cookie date etag expect expires from host if-match "
    b"if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards "
    b"proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie "
    b"strict-transport-security transfer-encoding user-agent vary via www-authenticate"
).split()

_VALUES = {
    2: b"GET",
    3: b"POST",
    4: b"/",
    5: b"/index.html",
    6: b"http",
    7: b"https",
    8: b"200",
    9: b"204",
    10: b"206",
    11: b"304",
    12: b"400",
    13: b"404",
    14: b"500",
    16: b"gzip, deflate",
}

#: Fields by index; the table begins with 1.
STATIC: list[Field] = [(b"", b"")] + [(name, _VALUES.get(index, b"")) for index, name in enumerate(_NAMES, 1)]
#: Index of the first dynamic entry.
FIRST_DYNAMIC = len(STATIC)

#: Indices by field, and the first index by name.
STATIC_FIELDS: dict[Field, int] = {field: index for index, field in enumerate(STATIC) if index and field[1]}
STATIC_NAMES: dict[bytes, int] = {name: index for index, name in reversed(list(enumerate(_NAMES, 1)))}

#: How a field of ours travels: it enters the dynamic table, or it does not, or no hop may ever let it.
INDEXED = 0x40
PLAIN = 0x00
NEVER = 0x10

#: Names whose values hardly repeat, so that they would push out those that do; and names of secrets, which must not be
#: guessable by the size of a block that holds them beside something an attacker chose (section 7.1.3).
TREATMENTS: dict[bytes, int] = dict.fromkeys(
    b":path age content-length content-location content-range etag if-match if-modified-since if-none-match if-range "
    b"last-modified location range request-id retry-after server-timing traceparent x-amzn-trace-id x-b3-traceid "
    b"x-correlation-id x-process-time x-request-id x-response-time x-runtime x-trace-id".split(),
    PLAIN,
) | dict.fromkeys(
    b"authentication-info authorization cookie proxy-authenticate proxy-authentication-info proxy-authorization "
    b"set-cookie set-cookie2 www-authenticate x-api-key x-auth-token x-csrf-token x-csrftoken x-xsrf-token".split(),
    NEVER,
)

# Compiled, the names above are C variables (hpack_table.pxd); this keeps them importable from Python.
globals().update(
    MOST_TABLE=MOST_TABLE,
    STATIC=STATIC,
    FIRST_DYNAMIC=FIRST_DYNAMIC,
    STATIC_FIELDS=STATIC_FIELDS,
    STATIC_NAMES=STATIC_NAMES,
    INDEXED=INDEXED,
    PLAIN=PLAIN,
    NEVER=NEVER,
    TREATMENTS=TREATMENTS,
)


class Table:
    """A dynamic table (section 2.3.2): a ring with room for as many entries as can ever be in it."""

    def __init__(self, most: int = MOST_TABLE) -> None:
        self.begin(most)

    def begin(self, most: int) -> int:
        """Be empty, with at most ``most`` bytes; ``limit`` may later set less, never more."""
        capacity = 1
        while capacity * ENTRY_COST < most:
            capacity *= 2
        self._ring: list[Field | None] = [None] * capacity
        self._mask = capacity - 1
        #: Entries ever added, entries there are, and their size in bytes.
        self.added = 0
        self.count = 0
        self.size = 0
        self.most = most
        return 0

    def get(self, place: int) -> Field | None:
        """The entry at ``place``, 0 being the newest; None when there are not so many."""
        if place >= self.count:
            return None
        return self._ring[(self.added - 1 - place) & self._mask]

    def drop_oldest(self) -> Field:
        """Take the oldest entry out."""
        slot = (self.added - self.count) & self._mask
        field = self._ring[slot]
        assert field is not None
        self._ring[slot] = None
        self.count -= 1
        self.size -= cost_of(field)
        return field

    def limit(self, most: int) -> int:
        """Have at most ``most`` bytes from now on."""
        self.most = most
        while self.size > most:
            self.drop_oldest()
        return 0

    def add(self, field: Field) -> int:
        """Add ``field``, in place of the oldest ones; one that is larger than the table only empties it."""
        cost = cost_of(field)
        while self.count and self.size + cost > self.most:
            self.drop_oldest()
        if cost <= self.most:
            self._ring[self.added & self._mask] = field
            self.added += 1
            self.count += 1
            self.size += cost
        return 0


def cost_of(field: Field) -> int:
    """What ``field`` counts for in a table and in a section (section 4.1)."""
    name, value = field
    return len(name) + len(value) + ENTRY_COST
