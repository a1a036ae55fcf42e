"""What a deployer may say about sockets and TLS. Values only; ``config`` fills them."""

from __future__ import annotations

from msgspec import Struct, field

from torana.base.secret import Secret


class TlsOptions(Struct, frozen=True):
    """One certificate and how clients are asked for theirs; paths are files in PEM format."""

    certfile: str
    keyfile: str | None = None
    keyfile_password: Secret | None = None
    #: More certificates, chosen by server name (SNI): (certfile, keyfile) pairs.
    more_certificates: tuple[tuple[str, str | None], ...] = ()
    ca_certs: str | None = None
    #: "none", "optional" or "required".
    cert_reqs: str = "none"
    alpn: tuple[str, ...] = ("http/1.1",)
    ciphers: str | None = None
    handshake_timeout_s: float = 10.0
    #: How often certificate files are looked at for a change; 0 turns it off.
    reload_interval_s: float = 10.0


class ListenOptions(Struct, frozen=True):
    """Where to listen and how deep the queue is."""

    #: Addresses as typed: "HOST:PORT", "[V6]:PORT", "unix:PATH", "fd:N", "systemd[:NAME]".
    binds: tuple[str, ...] = ("127.0.0.1:8000",)
    backlog: int = 2048
    #: Mode and owner of a unix socket: octal mode, "user", "user:group" or None.
    socket_mode: int | None = None
    socket_owner: str | None = None
    tls: TlsOptions | None = None


class TransportOptions(Struct, frozen=True):
    """Bounds of one connection's buffers, in bytes."""

    read_bytes: int = 64 * 1024
    write_high_bytes: int = 64 * 1024
    write_low_bytes: int = 16 * 1024


class NetOptions(Struct, frozen=True):
    """Everything of floor ``net``."""

    listen: ListenOptions = field(default_factory=ListenOptions)
    transport: TransportOptions = field(default_factory=TransportOptions)
