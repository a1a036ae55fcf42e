"""Certificates and contexts: what TLS we speak, with which certificate, and what is told of a connection's TLS.

TLS 1.2 and up, forward secrecy only, no compression, no renegotiation, no early data. A wrong setting stops the start
(fail closed, G-087); at a later reload it leaves the old certificates in service.
Never here: sockets and handshakes (``secure.py``).
"""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from typing import Any

from torana.base.errors import ConfigError
from torana.net.certificate import Certificate, CertificateError, first_certificate, pem_of, read_certificate
from torana.net.options import TlsOptions

#: Suites of TLS 1.2; those of TLS 1.3 are all good and OpenSSL's own choice.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: Age at which contexts are made anew, because OpenSSL keeps a context's ticket keys as long as the context.
TICKET_KEYS_S = 12 * 3600.0
#: Steps of handshakes in one batch of events.
HANDSHAKES_A_BATCH = 16

_REQUESTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

Facts = dict[str, Any]


class ServerContext(ssl.SSLContext):
    """A context that knows its own certificate."""

    certificate: Certificate
    #: Facts of connections without a client certificate, by (suite, version): they are all the same.
    known_facts: dict[tuple[str, str], Facts]


class TlsContexts:
    """All contexts of one ``TlsOptions``. ``default`` is the one to begin a handshake with; SNI then picks another."""

    def __init__(self, options: TlsOptions) -> None:
        """Raises ``ConfigError`` naming the file and the setting."""
        self.options = options
        self.handshake_timeout_s = options.handshake_timeout_s
        self.default, self._by_name = _build(options)
        self._seen = self._look()
        self._made_at = time.monotonic()
        self._shaken_at = 0.0
        self._shaken = 0

    def may_shake(self, now: float) -> bool:
        """Whether one more step of a handshake fits into the batch of events that began at ``now``.

        A flood of handshakes, a millisecond each, must leave established connections their share (G-068). Who is
        refused loses nothing: its socket stays ready and comes again in the next batch.
        """
        if now != self._shaken_at:
            self._shaken_at = now
            self._shaken = 0
        self._shaken += 1
        return self._shaken <= HANDSHAKES_A_BATCH

    def choose(self, name: str | None) -> ServerContext:
        """The context for a server name: exact, then wildcard for its first label, then the first certificate."""
        return _choose(self.default, self._by_name, name)

    def reload_if_changed(self) -> str | None:
        """Read the files again if they changed, and keep what we have if they are bad. A sentence to log, or None."""
        seen = self._look()
        is_changed = seen != self._seen
        if not is_changed and time.monotonic() - self._made_at < TICKET_KEYS_S:
            return None
        # Remembered before the attempt: a bad file is reported once, not at every look.
        self._seen = seen
        self._made_at = time.monotonic()
        try:
            default, by_name = _build(self.options)
        except ConfigError as error:
            return f"TLS certificates not reloaded, the old ones stay in service: {error}"
        self.default, self._by_name = default, by_name
        return f"TLS certificates reloaded: {default.certificate.subject}" if is_changed else None

    def _look(self) -> list[tuple[int, int, int] | None]:
        options = self.options
        paths = [options.certfile, options.keyfile, options.ca_certs]
        for pair in options.more_certificates:
            paths.extend(pair)
        return [_stamp(path) for path in paths if path is not None]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _choose(default: ServerContext, by_name: dict[str, ServerContext], name: str | None) -> ServerContext:
    if not name or not by_name:
        return default
    name = name.lower().rstrip(".")
    return by_name.get(name) or by_name.get("*." + name.partition(".")[2]) or default


def _build(options: TlsOptions) -> tuple[ServerContext, dict[str, ServerContext]]:
    """The default context and those of all names."""
    if options.cert_reqs not in _REQUESTS:
        raise ConfigError(f"cert_reqs {options.cert_reqs!r}: accepted are {', '.join(_REQUESTS)}")
    if options.cert_reqs != "none" and options.ca_certs is None:
        raise ConfigError(
            f"cert_reqs is {options.cert_reqs}, but ca_certs, which says whose certificates to accept, is not set"
        )
    default = _context(options, options.certfile, options.keyfile, "certfile", "keyfile")
    by_name = dict.fromkeys(default.certificate.names, default)
    for place, (certfile, keyfile) in enumerate(options.more_certificates, 1):
        setting = f"more_certificates[{place}]"
        context = _context(options, certfile, keyfile, setting, setting)
        for name in context.certificate.names:
            by_name.setdefault(name, context)
    if not options.more_certificates:
        # One certificate is the answer to every name: no callback, no Python during the handshake.
        return default, {}

    def pick(sock: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        chosen = _choose(default, by_name, name)
        if chosen is not default:
            sock.context = chosen

    default.sni_callback = pick
    return default, by_name


def _context(
    options: TlsOptions, certfile: str, keyfile: str | None, certificate_setting: str, key_setting: str
) -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_SINGLE_ECDH_USE
    try:
        context.set_ciphers(options.ciphers or CIPHERS)
    except ssl.SSLError:
        raise ConfigError(f"ciphers {options.ciphers!r}: OpenSSL knows no suite of that name") from None
    if options.alpn:
        context.set_alpn_protocols(list(options.alpn))
    try:
        context.certificate = first_certificate(_read(certfile, certificate_setting))
    except CertificateError as error:
        raise ConfigError(f"{certificate_setting} {certfile}: {error}") from None
    context.known_facts = {}
    if keyfile is not None:
        _read(keyfile, key_setting)
    _load(context, certfile, keyfile, options.keyfile_password, certificate_setting, key_setting)
    _ask_clients(context, options)
    return context


def _read(path: str, setting: str) -> bytes:
    """A file's content, or a ``ConfigError``; a certificate is never this large."""
    try:
        with open(path, "rb") as file:
            return file.read(1024 * 1024)
    except OSError as error:
        raise ConfigError(f"{setting} {path}: {os.strerror(error.errno or 0)}") from None


def _load(
    context: ssl.SSLContext, certfile: str, keyfile: str | None, password: str | None,
    certificate_setting: str, key_setting: str,
) -> None:  # fmt: skip
    asked = False

    def give_password() -> str:
        # Without this OpenSSL would ask on the terminal, and a server in the background would hang.
        nonlocal asked
        asked = True
        return password or ""

    where = f"{certificate_setting} {certfile}" if keyfile is None else f"{key_setting} {keyfile}"
    try:
        context.load_cert_chain(certfile, keyfile, give_password)
    except ssl.SSLError as error:
        if asked:
            reason = "the password does not open this key" if password else "this key is encrypted"
            raise ConfigError(f"{where}: {reason} (setting: keyfile_password)") from None
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise ConfigError(f"{where}: this key does not belong to the certificate in {certfile}") from None
        if keyfile is None and error.reason in ("NO_START_LINE", "PEM_LIB", None, "PEM lib"):
            raise ConfigError(f"{where}: no private key in it (setting: keyfile)") from None
        raise ConfigError(f"{where}: {_reason(error)}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "not a certificate and key in PEM form").replace("_", " ").lower()


def _ask_clients(context: ssl.SSLContext, options: TlsOptions) -> None:
    context.verify_mode = _REQUESTS[options.cert_reqs]
    if options.ca_certs is None:
        return
    _read(options.ca_certs, "ca_certs")
    try:
        context.load_verify_locations(options.ca_certs)
    except ssl.SSLError as error:
        raise ConfigError(f"ca_certs {options.ca_certs}: {_reason(error)}") from None
    if options.cert_reqs != "none" and not context.cert_store_stats()["x509"]:
        raise ConfigError(f"ca_certs {options.ca_certs}: no certificate in it")


# --- what is told of a connection


def tls_facts(sock: ssl.SSLSocket | ssl.SSLObject, context: ssl.SSLContext) -> Facts:
    """ASGI's tls extension (version 0.2) for a finished handshake; the dict may be shared, copy it before a change.

    ``client_cert_error`` is always None: a client certificate that fails ends the handshake in every mode.
    """
    cipher = sock.cipher()
    suite, version = (cipher[0], sock.version() or "") if cipher is not None else ("", "")
    if context.verify_mode == ssl.CERT_NONE:
        return _plain_facts(context, suite, version)
    leaf = sock.getpeercert(True)
    if not leaf:
        return _plain_facts(context, suite, version)
    chain = _client_chain(sock, leaf)
    name: str | None = None
    # OpenSSL took it; if we cannot read it, it has no name but is still shown.
    with contextlib.suppress(CertificateError):
        name = read_certificate(leaf).subject
    facts = dict(_plain_facts(context, suite, version))
    facts.update(client_cert_chain=[pem_of(der) for der in chain], client_cert_name=name)
    return facts


def _plain_facts(context: ssl.SSLContext, suite: str, version: str) -> Facts:
    if not isinstance(context, ServerContext):
        return _make_facts(None, context, suite, version)
    known = context.known_facts.get((suite, version))
    if known is None:
        known = context.known_facts[suite, version] = _make_facts(context.certificate.pem(), context, suite, version)
    return known


def _make_facts(server_cert: str | None, context: ssl.SSLContext, suite: str, version: str) -> Facts:
    return {
        "server_cert": server_cert,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(version),
        "cipher_suite": _suite_id(context, suite),
    }


def _suite_id(context: ssl.SSLContext, suite: str) -> int | None:
    for known in context.get_ciphers():
        if known["name"] == suite:
            return known["id"] & 0xFFFF
    return None


def _client_chain(sock: ssl.SSLSocket | ssl.SSLObject, leaf: bytes) -> list[bytes]:
    """The verified chain, leaf first; only the leaf where the stack does not keep more (a resumed session)."""
    # Public since Python 3.13; before that on the object inside, with certificates of another kind.
    inner = sock if hasattr(sock, "get_verified_chain") else getattr(sock, "_sslobj", None)
    try:
        found = inner.get_verified_chain()  # type: ignore[union-attr]
        chain = [
            part if isinstance(part, bytes) else ssl.PEM_cert_to_DER_cert(part.public_bytes()) for part in found or ()
        ]
    except (AttributeError, ValueError, ssl.SSLError):
        chain = []
    return chain if chain[:1] == [leaf] else [leaf]
