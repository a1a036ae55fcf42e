"""Settings: where to listen, and TLS."""

from __future__ import annotations

from torana.config.kinds import choice, duration, integer, many, octal, path, text
from torana.config.server_kinds import address, certificate
from torana.config.setting import Setting, table

LISTENING = table(
    "Listening",
    Setting(
        "bind",
        many(address()),
        "Address to listen on: HOST:PORT, [V6]:PORT, unix:PATH, fd:N or systemd[:NAME]; may be given several times.",
        fills="net.listen.binds",
        default=(),
        also=("-b",),
        prefixed=(("--uds", "unix:"), ("--fd", "fd:")),
        unset="HOST:PORT of host and port",
    ),
    Setting("host", text(), "Host to listen on, if bind is not given.", default="127.0.0.1"),
    Setting("port", integer(0, 65535), "Port to listen on, if bind is not given; 0 takes a free one.", default=8000),
    Setting(
        "backlog",
        integer(1, 1 << 20),
        "Connections the kernel may hold before they are accepted.",
        fills="net.listen.backlog",
    ),
    Setting(
        "socket_mode",
        octal(),
        "File mode of unix sockets.",
        fills="net.listen.socket_mode",
        unset="what the umask leaves",
    ),
    Setting(
        "socket_owner",
        text(),
        "Owner of unix sockets: user or user:group.",
        fills="net.listen.socket_owner",
        unset="who runs the server",
    ),
    Setting("http", choice("auto", "1", "2", also={"1.1": "1"}), "HTTP versions to speak.", fills="serve.versions"),
)

TLS = table(
    "TLS",
    Setting(
        "certfile",
        path(),
        "Certificate chain (PEM); turns TLS on.",
        fills="net.listen.tls.certfile",
        default=None,
        also=("--ssl-certfile",),
        must_exist="file",
    ),
    Setting(
        "keyfile",
        path(),
        "Private key (PEM), if it is not in certfile.",
        fills="net.listen.tls.keyfile",
        also=("--ssl-keyfile",),
        must_exist="file",
    ),
    Setting(
        "keyfile_password",
        text(),
        "Password of the private key; better as a variable than as a flag.",
        fills="net.listen.tls.keyfile_password",
        also=("--ssl-keyfile-password",),
        is_secret=True,
    ),
    Setting(
        "sni_certificate",
        many(certificate()),
        "One more certificate, chosen by the name the client asks for; may be given several times.",
        fills="net.listen.tls.more_certificates",
        must_exist="file",
    ),
    Setting(
        "ca_certs",
        path(),
        "Certificates (PEM) that may sign client certificates.",
        fills="net.listen.tls.ca_certs",
        also=("--ssl-ca-certs",),
        must_exist="file",
    ),
    Setting(
        "cert_reqs",
        choice("none", "optional", "required", also={"0": "none", "1": "optional", "2": "required"}),
        "Whether clients are asked for a certificate.",
        fills="net.listen.tls.cert_reqs",
        also=("--ssl-cert-reqs",),
    ),
    Setting(
        "ciphers",
        text(),
        "Ciphers of TLS 1.2, as OpenSSL spells them.",
        fills="net.listen.tls.ciphers",
        also=("--ssl-ciphers",),
        unset="OpenSSL's choice",
    ),
    Setting(
        "timeout_tls_handshake",
        duration(),
        "Longest a TLS handshake may take.",
        fills="net.listen.tls.handshake_timeout_s",
    ),
    Setting(
        "tls_reload_interval",
        duration(),
        "How often certificate files are looked at for a change.",
        fills="net.listen.tls.reload_interval_s",
    ),
)
