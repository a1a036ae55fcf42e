"""A TLS 1.3 client that changes its keys as often as it likes (RFC 8446 section 4.6.3).

Neither Python's ssl nor the openssl program can do that quickly, so the records are made by hand, from the secret
that the handshake has logged. Never here: a verdict.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import tempfile
from pathlib import Path

from tests.support.raw import Connection

_UPDATE = bytes((24, 0, 0, 1))
_HANDSHAKE, _DATA = 22, 23


class Updater:
    """One connection, its handshake done."""

    def __init__(self, address: tuple[str, int]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with tempfile.TemporaryDirectory() as folder:
            context.keylog_filename = f"{folder}/keys"
            self._connection = Connection(address)
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing)
            self._shake()
            logged = Path(folder, "keys").read_text()
        self._secret = bytes.fromhex(
            next(line.split()[2] for line in logged.splitlines() if line.startswith("CLIENT_TRAFFIC_SECRET_0 "))
        )
        suite = self._tls.cipher()[0]  # type: ignore[index]
        self._hash = hashlib.sha384 if suite.endswith("384") else hashlib.sha256
        self._key_bytes = 16 if "AES_128" in suite else 32
        self._is_chacha = "CHACHA" in suite
        self._count = 0

    def _shake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._connection.send(self._outgoing.read())
                self._incoming.write(self._connection.read_some())
            else:
                self._connection.send(self._outgoing.read())
                return

    def updates(self, count: int, *, wants_answer: bool = False, padding: int = 0) -> bytes:
        """So many KeyUpdate records, each under the keys of the one before and with so many zeros behind it."""
        return b"".join(self._update(wants_answer, padding) for _ in range(count))

    def data(self, content: bytes) -> bytes:
        """A record of application data."""
        return self._record(content, _DATA)

    def send(self, data: bytes) -> None:
        """Records."""
        self._connection.send(data)

    def received(self) -> bytes:
        """What the server says next, decrypted; b"" when it has closed."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                data = self._connection.read_some()
                if not data:
                    return b""
                self._incoming.write(data)
            except ssl.SSLError:
                return b""

    def close(self) -> None:
        """Without a word."""
        self._connection.close()

    def _update(self, wants_answer: bool, padding: int) -> bytes:
        record = self._record(_UPDATE + bytes((wants_answer,)), _HANDSHAKE, padding)
        self._secret = self._expand(b"traffic upd", len(self._secret))
        self._count = 0
        return record

    def _record(self, content: bytes, kind: int, padding: int = 0) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

        key, start = self._expand(b"key", self._key_bytes), self._expand(b"iv", 12)
        nonce = (int.from_bytes(start, "big") ^ self._count).to_bytes(12, "big")
        self._count += 1
        head = bytes((_DATA, 3, 3)) + (len(content) + 17 + padding).to_bytes(2, "big")
        cipher = ChaCha20Poly1305(key) if self._is_chacha else AESGCM(key)
        return head + cipher.encrypt(nonce, content + bytes((kind,)) + bytes(padding), head)

    def _expand(self, label: bytes, size: int) -> bytes:
        """HKDF-Expand-Label of RFC 8446 section 7.1, for no more than one block."""
        what = size.to_bytes(2, "big") + bytes((6 + len(label),)) + b"tls13 " + label + b"\0"
        return hmac.digest(self._secret, what + b"\1", self._hash().name)[:size]
