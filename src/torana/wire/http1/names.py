"""Field names that most requests carry, found without making an object.

A small open hash over length, first and last byte. Never here: values, what a name means (``base/field_names``).
"""

from __future__ import annotations

from torana.base.bytescan import LOWER
from torana.base.field_names import KIND_OF

_SLOTS = 1024


def _build() -> tuple[list[bytes], bytes]:
    """The hash's two columns: names (empty where there is none) and kinds, by slot."""
    names = [b""] * _SLOTS
    kinds = bytearray(_SLOTS)
    for name, kind in KIND_OF.items():
        slot = (len(name) * 37 + name[0] * 5 + name[len(name) - 1] * 11) & (_SLOTS - 1)
        while names[slot]:
            slot = (slot + 1) & (_SLOTS - 1)
        names[slot] = name
        kinds[slot] = kind
    return names, bytes(kinds)


NAMES, KIND_BYTES = _build()
KINDS = KIND_BYTES

# Compiled, the names above are C variables (names.pxd); this keeps them importable from Python.
globals().update(NAMES=NAMES, KINDS=KIND_BYTES)


def slot_of(data: bytes, start: int, end: int) -> int:
    """Slot of the name ``data[start:end]``, in whatever case, or -1 when it is not a known one."""
    size = end - start
    slot = (size * 37 + LOWER[data[start]] * 5 + LOWER[data[end - 1]] * 11) & 1023
    while True:
        name = NAMES[slot]
        if not name:
            return -1
        if len(name) == size:
            known = name
            i = 0
            while i < size and LOWER[data[start + i]] == known[i]:
                i += 1
            if i == size:
                return slot
        slot = (slot + 1) & 1023
