"""TLS and who is behind it: sessions, names, client certificates, broken files (G-087)."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.support.server import REPOSITORY, Server, child_environment, command_for, running

trustme = pytest.importorskip("trustme")

SITE = "tests.threats.sites.asgi_site:app"


@dataclass
class Files:
    """Certificates: of two names, of a client, and of a client whose authority nobody knows."""

    place: Path
    context: ssl.SSLContext

    def path(self, name: str) -> str:
        return str(self.place / name)

    def client(self, certificate: str | None, version: ssl.TLSVersion) -> ssl.SSLContext:
        """A client's side, of one version of TLS."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        context.minimum_version = context.maximum_version = version
        if certificate is not None:
            context.load_cert_chain(self.path(certificate))
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    place = tmp_path_factory.mktemp("tls")
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(place / "ca.pem")
    for name in ("a.example", "b.example", "127.0.0.1"):
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(place / f"{name}.pem")
    authority.issue_cert("client@a.example").private_key_and_cert_chain_pem.write_to_path(place / "client.pem")
    stranger.issue_cert("stranger@a.example").private_key_and_cert_chain_pem.write_to_path(place / "stranger.pem")
    return Files(place, ssl.create_default_context(cafile=str(place / "ca.pem")))


@contextlib.contextmanager
def _serving(files: Files, notes: Path, *flags: str) -> Iterator[Server]:
    """Two names and whatever ``flags`` say of clients; one line of notes a call."""
    notes.touch()
    names = ("--certfile", files.path("a.example.pem"), "--sni-certificate", files.path("b.example.pem"))
    with running(SITE, *names, *flags, app_dir=REPOSITORY, environment={"NOTES": str(notes)}) as server:
        yield server


def _calls(notes: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in notes.read_text().splitlines()]
    return [event for event in events if event["event"] == "call"]


def _ask(server: Server, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None) -> ssl.SSLSession:
    """One request; the session that it leaves. OSError where there is no handshake."""
    with Connection(server.address, tls=context, server_name=name, session=session) as connection:
        answer = connection.ask("GET", "/who", f"Host: {name}", "Connection: close")
        assert answer.status == 200
        sock = connection.socket
        assert isinstance(sock, ssl.SSLSocket)
        if session is None:
            assert ("DNS", name) in (sock.getpeercert() or {})["subjectAltName"]
        assert sock.session is not None
        return sock.session


VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.mark.threat(
    "G-087",
    sent="a session begun at one name, resumed at another, with a client certificate and without",
    verdict="the same client at both, nobody where there was nobody",
)
def test_session_across_names(files: Files, tmp_path: Path) -> None:
    flags = ("--ca-certs", files.path("ca.pem"), "--cert-reqs", "optional")
    with _serving(files, tmp_path / "notes", *flags) as server:
        for version in VERSIONS:
            for certificate in (None, "client.pem"):
                context = files.client(certificate, version)
                session = _ask(server, context, "a.example")
                _ask(server, context, "a.example", session)
                _ask(server, context, "b.example", session)
                _ask(server, context, "b.example")
    clients = [call["client_cert"] for call in _calls(tmp_path / "notes")]
    assert len(clients) == 16
    assert clients[:4] == clients[8:12] == [None] * 4
    assert None not in clients[4:8] and len({*clients[4:8], *clients[12:]}) == 1


@pytest.mark.threat(
    "G-087", sent="a session of a server that asks for no certificate, to one that requires it", verdict="no handshake"
)
@pytest.mark.threat("G-087", sent="a certificate of an unknown authority, or none", verdict="no handshake")
def test_session_of_another_policy(files: Files, tmp_path: Path) -> None:
    contexts = {version: files.client(None, version) for version in VERSIONS}
    with _serving(files, tmp_path / "lax") as server:
        sessions = {version: _ask(server, context, "a.example") for version, context in contexts.items()}
    flags = ("--ca-certs", files.path("ca.pem"), "--cert-reqs", "required")
    with _serving(files, tmp_path / "strict", *flags) as server:
        for version, context in contexts.items():
            for name in ("a.example", "b.example"):
                for kept in (sessions[version], None):
                    with pytest.raises((OSError, EOFError)):
                        _ask(server, context, name, kept)
                with pytest.raises((OSError, EOFError)):
                    _ask(server, files.client("stranger.pem", version), name)
        assert _calls(tmp_path / "strict") == []
        for version in VERSIONS:
            _ask(server, files.client("client.pem", version), "a.example")
    assert None not in [call["client_cert"] for call in _calls(tmp_path / "strict")]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="speaks by the openssl command")
@pytest.mark.threat("G-087", sent="a POST as early data (0-RTT)", verdict="not taken as early data")
def test_early_data_is_not_taken(files: Files, tmp_path: Path) -> None:
    early = tmp_path / "early"
    early.write_bytes(b"POST /early HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
    with _serving(files, tmp_path / "notes") as server:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", "a.example", "-tls1_3"]
        first = subprocess.run(
            [*command, "-ign_eof", "-sess_out", str(tmp_path / "session")], capture_output=True, timeout=20,
            input=b"GET /first HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
        )  # fmt: skip
        assert b"200 OK" in first.stdout
        second = subprocess.run(
            [*command, "-ign_eof", "-sess_in", str(tmp_path / "session"), "-early_data", str(early)], timeout=20,
            input=b"GET /second HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", capture_output=True,
        )  # fmt: skip
        assert b"Early data was not sent" in second.stdout or b"Early data was rejected" in second.stdout
    assert "/early" not in [call["path"] for call in _calls(tmp_path / "notes")]


#: What is in the file (None: there is none, 0: a folder is there), and of which settings it is the file.
BROKEN: dict[str, tuple[bytes | int | None, list[str]]] = {
    "missing": (None, ["ca_certs"]),
    "empty": (b"", ["ca_certs"]),
    "garbled": (
        b"-----BEGIN CERTIFICATE-----\nMIIBgarbled\n-----END CERTIFICATE-----\n", ["ca_certs", "certfile", "keyfile"],
    ),
    "a folder": (0, ["certfile"]),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.threat(
                "G-087", sent=f"{kind}: the file of {', '.join(settings)}", verdict="no start; file and setting named"
            ),
        )
        for kind, (_, settings) in BROKEN.items()
    ],
)
def test_broken_file_is_no_start(kind: str, files: Files, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    content, settings = BROKEN[kind]
    if isinstance(content, bytes):
        bad.write_bytes(content)
    elif content is not None:
        bad.mkdir()
    good = ("--certfile", files.path("a.example.pem"))
    flags = {
        "ca_certs": (*good, "--ca-certs", str(bad), "--cert-reqs", "optional" if kind == "empty" else "required"),
        "certfile": ("--certfile", str(bad)),
        "keyfile": (*good, "--keyfile", str(bad)),
    }
    for setting in settings:
        said = _refused_start(*flags[setting])
        assert str(bad) in said and setting in said, said


def _refused_start(*flags: str) -> str:
    """What the command says before it ends without having listened."""
    ended = subprocess.run(
        command_for(SITE, *flags, app_dir=REPOSITORY), env=child_environment(), capture_output=True, timeout=60,
        text=True, check=False,
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    assert ended.returncode > 0 and "Listening" not in said and "Traceback" not in said, said
    return said


@pytest.mark.threat("G-087", sent="--cert-reqs required without --ca-certs", verdict="no start")
def test_no_authority_is_no_start(files: Files) -> None:
    assert "ca_certs" in _refused_start("--certfile", files.path("a.example.pem"), "--cert-reqs", "required")


@pytest.mark.threat("G-087", sent="broken files in the place of good ones, while it runs", verdict="the old stay")
def test_reload_of_broken_files_keeps_the_old(files: Files, tmp_path: Path) -> None:
    served, authority = tmp_path / "served.pem", tmp_path / "ca.pem"
    shutil.copy(files.path("a.example.pem"), served)
    shutil.copy(files.path("ca.pem"), authority)
    (tmp_path / "notes").touch()
    flags = ("--certfile", str(served), "--ca-certs", str(authority), "--cert-reqs", "required")
    with running(
        SITE, *flags, "--tls-reload-interval", "100ms", app_dir=REPOSITORY,
        environment={"NOTES": str(tmp_path / "notes")},
    ) as server:  # fmt: skip
        client = files.client("client.pem", ssl.TLSVersion.TLSv1_3)
        _ask(server, client, "a.example")
        for file, bad in ((served, b"broken"), (authority, b""), (authority, None), (served, None)):
            good = file.read_bytes()
            mark = server.mark()
            file.unlink()
            if bad is not None:
                file.write_bytes(bad)
            server.wait_for_log("not reloaded", since=mark)
            _ask(server, client, "a.example")
            with pytest.raises((OSError, EOFError)):
                _ask(server, files.client(None, ssl.TLSVersion.TLSv1_3), "a.example")
            mark = server.mark()
            file.write_bytes(good)
            server.wait_for_log("TLS certificates reloaded", since=mark)
        mark = server.mark()
        shutil.copy(files.path("b.example.pem"), served)
        server.wait_for_log("TLS certificates reloaded", since=mark)
        _ask(server, client, "b.example")
