"""Field lists: ``list[tuple[bytes, bytes]]``, names in lower case. Asking them, and asking what may stand in them.

Only ASCII SP and HTAB are white space here, and only A-Z have a lower case: what Python or Unicode think is ignored.
Never here: bytes on the wire (``wire``) or what a single field means. RFC 9110 section 5.
"""

from __future__ import annotations

from torana.base.bytescan import LOWER_BYTES, NAME, TEXT, TOKEN, span

Fields = list[tuple[bytes, bytes]]


def lower(name: bytes) -> bytes:
    """``name`` in ASCII lower case; the same object when it already is."""
    size = len(name)
    for i in range(size):
        if NAME[name[i]] & 4:
            return name.translate(LOWER_BYTES)
    return name


def is_token(text: bytes) -> bool:
    """Whether ``text`` is a token: one or more tchar (RFC 9110 section 5.6.2)."""
    size = len(text)
    return size > 0 and span(TOKEN, text, 0, size) == size


def is_field_value(value: bytes) -> bool:
    """Whether ``value`` may be written as a field value: no control byte but HTAB; obs-text passes (section 5.5)."""
    size = len(value)
    return span(TEXT, value, 0, size) == size


def trim(value: bytes) -> bytes:
    """``value`` without the SP and HTAB around it."""
    return value.strip(b" \t")


def get(fields: Fields, name: bytes) -> bytes | None:
    """Value of the first field called ``name`` (lower case), or None."""
    for key, value in fields:
        if key == name:
            return value
    return None


def get_all(fields: Fields, name: bytes) -> list[bytes]:
    """Values of all fields called ``name`` (lower case), in order."""
    return [value for key, value in fields if key == name]


def elements(value: bytes) -> list[bytes]:
    """Elements of a comma list as they are written, quoted strings whole; empty ones left out (section 5.6.1)."""
    if value.find(b'"') < 0:
        return [trimmed for part in value.split(b",") if (trimmed := part.strip(b" \t"))]
    found: list[bytes] = []
    size = len(value)
    start = 0
    while start <= size:
        stop = _element_end(value, start, size)
        part = value[start:stop].strip(b" \t")
        if part:
            found.append(part)
        start = stop + 1
    return found


def _element_end(value: bytes, start: int, size: int) -> int:
    """Index of the comma that ends the element at ``start``, or ``size``; commas in quoted strings do not count."""
    is_quoted = False
    i = start
    while i < size:
        byte = value[i]
        if is_quoted:
            if byte == 0x5C:  # a backslash takes the next byte with it
                i += 1
            elif byte == 0x22:
                is_quoted = False
        elif byte == 0x22:
            is_quoted = True
        elif byte == 0x2C:
            return i
        i += 1
    return size


def tokens(value: bytes) -> list[bytes]:
    """Elements of a comma list in ASCII lower case, without OWS around them; empty elements left out."""
    return [trimmed for part in value.translate(LOWER_BYTES).split(b",") if (trimmed := part.strip(b" \t"))]


def joined(fields: Fields, name: bytes) -> bytes | None:
    """Values of all fields called ``name``, joined with ", " (section 5.3), or None when there is none."""
    found = get_all(fields, name)
    if not found:
        return None
    return found[0] if len(found) == 1 else b", ".join(found)
