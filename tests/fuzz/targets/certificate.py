"""Certificates: of clients, and of files that the operator names. ``net/certificate``."""

from __future__ import annotations

from tests.fuzz.target import Target, Verdict
from torana.net.certificate import CertificateError, first_certificate, pem_of, read_certificate


def _run(data: bytes) -> Verdict:
    try:
        found = read_certificate(data)
    except CertificateError as error:
        verdict: Verdict = str(error)
    else:
        assert all(name == name.lower() and name.isascii() and "\0" not in name for name in found.names)
        assert not any(char < " " or char == "\x7f" for char in found.subject)
        again = first_certificate(pem_of(data).encode())
        assert (again.der, again.names) == (data, found.names)
        verdict = found.names, found.subject, found.not_after_s
    try:
        pem: Verdict = first_certificate(data).subject
    except CertificateError as error:
        pem = str(error)
    return verdict, pem


def _der(tag: int, *parts: bytes) -> bytes:
    """One value of DER."""
    content = b"".join(parts)
    size = len(content)
    length = (
        bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + content


_CN, _O, _ODD = b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x04\x0a", b"\x06\x04\x88\x37\x8f\x51"


def _name(*pairs: tuple[bytes, int, bytes]) -> bytes:
    return _der(0x30, *(_der(0x31, _der(0x30, oid, _der(tag, text))) for oid, tag, text in pairs))


def _validity(end: bytes = b"270101000000Z", tag: int = 0x17) -> bytes:
    return _der(0x30, _der(0x17, b"250101000000Z"), _der(tag, end))


def _names(*names: bytes) -> bytes:
    content = _der(0x30, *(_der(0x82, name) for name in names))
    return _der(0xA3, _der(0x30, _der(0x30, b"\x06\x03\x55\x1d\x11", _der(0x04, content))))


def _made(subject: bytes, validity: bytes, *more: bytes) -> bytes:
    algorithm = _der(0x30, b"\x06\x03\x2b\x65\x70")
    body = _der(
        0x30, b"\xa0\x03\x02\x01\x02", b"\x02\x01\x01", algorithm, _name(), validity, subject,
        _der(0x30, algorithm, b"\x03\x01\x00"), *more,
    )  # fmt: skip
    return _der(0x30, body, algorithm, b"\x03\x01\x00")


DER = Target(
    "certificate",
    _run,
    (
        (
            _made(
                _name((_CN, 0x0C, b"a.example"), (_O, 0x13, b"Org, Inc")),
                _validity(),
                _names(b"A.example", b"*.b.example"),
            ),
        ),
        (_made(_name((_CN, 0x0C, b"caf\xc3\xa9 <x>")), _validity(b"20500101000000Z", 0x18)),),
        (
            _made(
                _name((_ODD, 0x02, b"\x05"), (_CN, 0x1E, b"\0a\0b"), (_CN, 0x16, b" #x\n ")),
                _validity(),
                _names(b"a\0b", b"."),
            ),
        ),
        (_made(_name(), _validity(b"991332250000Z")),),
        tuple(pem_of(_made(_name((_CN, 0x14, b"t\xe9")), _validity())).encode().splitlines(keepends=True)),
        (b"\x30\x80", b"\x00\x00"),
    ),
    (
        b"\x30",
        b"\x31",
        b"\xa3",
        b"\x82",
        b"\x06\x03\x55\x04\x03",
        b"\x80",
        b"\x1f",
        b"\x84\xff\xff\xff\xff",
        b"-----",
        b"Z",
        b"\x18",
    ),
)
