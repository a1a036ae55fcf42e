"""A throw-away authority and a certificate for loopback, made at run time and never kept."""

from __future__ import annotations

import contextlib
import importlib.util
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import Certificate


@dataclass(frozen=True)
class Authority:
    """The server's files and a client context that trusts them."""

    certificate: Certificate
    client: ssl.SSLContext


def can_make_certificate() -> bool:
    """Whether the package that makes one is there."""
    return importlib.util.find_spec("trustme") is not None


@contextlib.contextmanager
def temporary_authority() -> Iterator[Authority]:
    """Files that live as long as the block (P-256, what most public certificates are today)."""
    import trustme
    from cryptography.hazmat.primitives import serialization

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with tempfile.TemporaryDirectory() as folder:
        certfile, keyfile = Path(folder, "cert.pem"), Path(folder, "key.pem")
        certfile.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        keyfile.touch(mode=0o600)
        keyfile.write_bytes(key_pem)
        yield Authority(Certificate(str(certfile), str(keyfile)), client)
