"""What a server has to know of a certificate: the names it is for, whose it is, until when it holds.

A strict walk through DER (X.690 chapters 8 and 10; RFC 5280 sections 4.1 and 4.2.1.6): anything unexpected is an error.
Never here: signatures and trust, which are OpenSSL's; sockets; files.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re

from msgspec import Struct

_SEQUENCE, _SET, _OID, _BOOLEAN, _OCTETS, _INTEGER = 0x30, 0x31, 0x06, 0x01, 0x04, 0x02
_UTC_TIME, _GENERALISED_TIME = 0x17, 0x18
_EXPLICIT_0, _EXPLICIT_3 = 0xA0, 0xA3
_DNS_NAME = 0x82
_SUBJECT_ALT_NAME = b"\x55\x1d\x11"

#: Attribute types that have a short name (RFC 4514 section 3), by the bytes of their object identifiers.
_SHORT_NAMES = {
    b"\x55\x04\x03": "CN", b"\x55\x04\x07": "L", b"\x55\x04\x08": "ST", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU",
    b"\x55\x04\x06": "C", b"\x55\x04\x09": "STREET", b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
}  # fmt: skip
_STRINGS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x16: "ascii", 0x1A: "ascii", 0x14: "latin-1",
            0x1E: "utf-16-be", 0x1C: "utf-32-be"}  # fmt: skip

_PEM = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END ")

_DNS = re.compile(rb"(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,126}\.?")


class CertificateError(ValueError):
    """These bytes are not a certificate that we can read."""


class Certificate(Struct, frozen=True):
    """The facts of one certificate."""

    #: DNS names it is for, lower-cased, possibly with "*" as their first label.
    names: tuple[str, ...]
    #: Its subject as RFC 4514 writes it.
    subject: str
    #: End of its validity, in seconds since the epoch.
    not_after_s: int
    der: bytes

    def pem(self) -> str:
        """The certificate in PEM form."""
        return pem_of(self.der)


def pem_of(der: bytes) -> str:
    """DER bytes of a certificate as PEM text (RFC 7468 section 5)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def first_certificate(pem: bytes) -> Certificate:
    """The first certificate of a PEM file, which is the server's own. Raises ``CertificateError``."""
    match = _PEM.search(pem)
    if match is None:
        raise CertificateError("no PEM certificate in it")
    try:
        return read_certificate(base64.b64decode(b"".join(match[1].split()), validate=True))
    except binascii.Error:
        raise CertificateError("its base64 text is damaged") from None


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate's facts. Raises ``CertificateError``."""
    outer = _Reader(der, 0, len(der))
    certificate = outer.enter(_SEQUENCE)
    outer.finish()
    body = certificate.enter(_SEQUENCE)
    if body.peek() == _EXPLICIT_0:
        body.skip()
    body.value(_INTEGER)
    body.enter(_SEQUENCE)
    body.enter(_SEQUENCE)
    not_after_s = _not_after(body.enter(_SEQUENCE))
    subject, common_names = _subject(body.enter(_SEQUENCE))
    body.enter(_SEQUENCE)
    names: list[str] = []
    while body.has_more():
        if body.peek() == _EXPLICIT_3:
            names = _alternative_names(body.enter(_EXPLICIT_3).enter(_SEQUENCE))
        else:
            body.skip()
    # Without alternative names the common name is what such old certificates were made for.
    found = names or [name for name in common_names if _DNS.fullmatch(name.encode("utf-8"))]
    return Certificate(tuple(dict.fromkeys(name.lower() for name in found)), subject, not_after_s, der)


class _Reader:
    """Walks one level of DER: tag, length, value, one after the other, to exactly the end."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self._at = at
        self._end = end

    def has_more(self) -> bool:
        return self._at < self._end

    def peek(self) -> int:
        if self._at >= self._end:
            raise CertificateError("it ends too early")
        return self._data[self._at]

    def next(self) -> tuple[int, int, int]:
        """(tag, start, stop) of the next value."""
        tag = self.peek()
        if tag & 0x1F == 0x1F:
            raise CertificateError("a tag in it is of the long form")
        at = self._at + 1
        if at >= self._end:
            raise CertificateError("it ends too early")
        length = self._data[at]
        at += 1
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 3 or at + count > self._end:
                raise CertificateError("a length in it is not legal")
            length = int.from_bytes(self._data[at : at + count], "big")
            at += count
            if length < 0x80 or length >> (8 * (count - 1)) == 0:
                raise CertificateError("a length in it is not the shortest")
        if length > self._end - at:
            raise CertificateError("it ends too early")
        self._at = at + length
        return tag, at, at + length

    def skip(self) -> None:
        self.next()

    def enter(self, wanted: int) -> _Reader:
        """Go into the next value, which must have this tag."""
        tag, start, stop = self.next()
        if tag != wanted:
            raise CertificateError(f"tag {tag:#04x} where {wanted:#04x} should be")
        return _Reader(self._data, start, stop)

    def value(self, wanted: int) -> bytes:
        tag, start, stop = self.next()
        if tag != wanted:
            raise CertificateError(f"tag {tag:#04x} where {wanted:#04x} should be")
        return self._data[start:stop]

    def any_value(self) -> tuple[int, bytes, bytes]:
        """(tag, value, complete encoding)."""
        before = self._at
        tag, start, stop = self.next()
        return tag, self._data[start:stop], self._data[before:stop]

    def finish(self) -> None:
        if self.has_more():
            raise CertificateError("something follows its end")


def _not_after(validity: _Reader) -> int:
    validity.skip()
    tag, value, _ = validity.any_value()
    validity.finish()
    if tag == _UTC_TIME and re.fullmatch(rb"[0-9]{12}Z", value):
        value = (b"19" if value[:2] >= b"50" else b"20") + value
    elif tag != _GENERALISED_TIME or not re.fullmatch(rb"[0-9]{14}Z", value):
        raise CertificateError("its end of validity is not legal")
    parts = [int(value[:4]), *(int(value[at : at + 2]) for at in range(4, 14, 2))]
    try:
        return calendar.timegm((*parts, 0, 0, 0))
    except ValueError:
        raise CertificateError("its end of validity is not legal") from None


def _alternative_names(extensions: _Reader) -> list[str]:
    names = []
    while extensions.has_more():
        extension = extensions.enter(_SEQUENCE)
        identifier = extension.value(_OID)
        if extension.peek() == _BOOLEAN:
            extension.skip()
        content = extension.value(_OCTETS)
        extension.finish()
        if identifier != _SUBJECT_ALT_NAME:
            continue
        outer = _Reader(content, 0, len(content))
        general_names = outer.enter(_SEQUENCE)
        outer.finish()
        while general_names.has_more():
            tag, value, _ = general_names.any_value()
            # A NUL or a blank inside has fooled others into seeing another name: such a name is for nobody.
            if tag == _DNS_NAME and _DNS.fullmatch(value):
                names.append(value.decode("ascii").rstrip("."))
    return names


def _subject(sequence: _Reader) -> tuple[str, list[str]]:
    """The subject as text, and its common names. The text runs from the last part to the first (RFC 4514 2.1)."""
    parts = []
    common_names = []
    while sequence.has_more():
        relative = sequence.enter(_SET)
        pairs = []
        while relative.has_more():
            attribute = relative.enter(_SEQUENCE)
            identifier = attribute.value(_OID)
            tag, value, encoding = attribute.any_value()
            attribute.finish()
            short = _SHORT_NAMES.get(identifier)
            if short is None or tag not in _STRINGS:
                pairs.append(f"{short or _dotted(identifier)}=#{encoding.hex()}")
                continue
            text = _decode(value, _STRINGS[tag])
            pairs.append(f"{short}={_escape(text)}")
            if short == "CN":
                common_names.append(text)
        parts.append("+".join(pairs))
    return ",".join(reversed(parts)), common_names


def _decode(value: bytes, encoding: str) -> str:
    try:
        return value.decode(encoding)
    except UnicodeDecodeError:
        raise CertificateError("a name in it is not legal text") from None


def _escape(text: str) -> str:
    """A value as RFC 4514 section 2.4 writes it, with control characters in hexadecimal: one printable line."""
    shown = []
    for place, char in enumerate(text):
        if char in '",+;<>\\' or (place == 0 and char in " #") or (place == len(text) - 1 and char == " "):
            shown.append("\\" + char)
        elif char < " " or char == "\x7f":
            shown.append(f"\\{ord(char):02x}")
        else:
            shown.append(char)
    return "".join(shown)


def _dotted(identifier: bytes) -> str:
    if not identifier or identifier[len(identifier) - 1] & 0x80 or len(identifier) > 64:
        raise CertificateError("an object identifier in it is not legal")
    numbers = []
    number = 0
    for byte in identifier:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))
