"""TLS through the real command, by curl, httpx and `ssl`: the scheme, the tls extension, SNI, client certificates."""

from __future__ import annotations

import json
import socket
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.curl import curl
from tests.support.raw import Connection
from tests.support.server import Server, running

httpx = pytest.importorskip("httpx")
trustme = pytest.importorskip("trustme")

HERE = Path(__file__).parent
FIRST, SECOND = "first.example", "second.example"
LARGE = bytes(range(256)) * 4096 * 4  # 4 MiB


@dataclass(frozen=True)
class Papers:
    """Files of one authority and what it signed."""

    authority: Path
    first: Path
    second: Path
    client: Path
    stranger: Path
    large: Path

    def context(self, client: Path | None = None) -> ssl.SSLContext:
        """A client's context that trusts the authority and may show a certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        if client is not None:
            context.load_cert_chain(client)
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority = trustme.CA()
    made = Papers(
        *(folder / name for name in ("ca.pem", "first.pem", "second.pem", "client.pem", "stranger.pem", "large.bin"))
    )
    authority.cert_pem.write_to_path(made.authority)
    authority.issue_cert(FIRST, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(made.first)
    authority.issue_cert(SECOND).private_key_and_cert_chain_pem.write_to_path(made.second)
    shown = authority.issue_cert("client@example.org", common_name="Ada, Countess")
    shown.private_key_and_cert_chain_pem.write_to_path(made.client)
    trustme.CA().issue_cert("evil@example.org").private_key_and_cert_chain_pem.write_to_path(made.stranger)
    made.large.write_bytes(LARGE)
    return made


def tls_server(papers: Papers, kind: str, *flags: str) -> Any:
    return running(
        f"tls_site:{kind}_app",
        "--interface",
        kind,
        "--certfile",
        str(papers.first),
        "--keyfile",
        str(papers.first),
        "--sni-certificate",
        f"{papers.second}:{papers.second}",
        *flags,
        app_dir=HERE,
        environment={"BIG_FILE": str(papers.large)},
    )


@pytest.fixture(scope="module")
def server(papers: Papers) -> Iterator[Server]:
    """Asks nobody for a certificate."""
    with tls_server(papers, "asgi") as server:
        yield server


@pytest.fixture(scope="module")
def wsgi_server(papers: Papers) -> Iterator[Server]:
    with tls_server(papers, "wsgi") as server:
        yield server


@pytest.fixture(scope="module")
def asking_server(papers: Papers) -> Iterator[Server]:
    """Asks for a client certificate and takes none as well."""
    with tls_server(papers, "asgi", "--ca-certs", str(papers.authority), "--cert-reqs", "optional") as server:
        yield server


@pytest.fixture(scope="module")
def strict_server(papers: Papers) -> Iterator[Server]:
    """Takes no client without a certificate."""
    with tls_server(papers, "asgi", "--ca-certs", str(papers.authority), "--cert-reqs", "required") as server:
        yield server


def describe(server: Server, context: ssl.SSLContext, name: str = FIRST) -> dict[str, Any]:
    """What the application sees, and under "sent" the certificate (DER) that the server showed."""
    with Connection(server.address, tls=context, server_name=name) as connection:
        answer = connection.ask("GET", "/describe")
        assert answer.status == 200
        assert isinstance(connection.socket, ssl.SSLSocket)
        return {**json.loads(answer.body), "sent": connection.socket.getpeercert(binary_form=True)}


def der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)


def first_certificate(path: Path) -> bytes:
    text = path.read_text()
    start, end = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
    return der(text[start:end] + "-----END CERTIFICATE-----\n")


def test_curl(server: Server, papers: Papers) -> None:
    result = curl(
        "--cacert",
        str(papers.authority),
        "--resolve",
        f"{FIRST}:{server.port}:127.0.0.1",
        f"https://{FIRST}:{server.port}/describe",
        f"https://{FIRST}:{server.port}/describe",
    )
    assert result.exit_code == 0
    assert result.statuses() == [200, 200]
    assert result.has_reused()


def test_httpx(server: Server, papers: Papers) -> None:
    assert server.scheme == "https"
    with httpx.Client(verify=papers.context(), trust_env=False, timeout=20) as client:
        assert client.get(f"{server.origin}/describe").json()["scheme"] == "https"
        assert client.post(f"{server.origin}/echo", content=LARGE).content == LARGE
        assert client.get(f"{server.origin}/file").content == LARGE


def test_wsgi(wsgi_server: Server, papers: Papers) -> None:
    with httpx.Client(verify=papers.context(), trust_env=False, timeout=20) as client:
        seen = client.get(f"{wsgi_server.origin}/describe").json()
        assert seen == {"scheme": "https", "https": "on", "port": str(wsgi_server.port)}
        assert client.post(f"{wsgi_server.origin}/echo", content=LARGE).content == LARGE
        assert client.get(f"{wsgi_server.origin}/file").content == LARGE


def test_tls_extension(server: Server, papers: Papers) -> None:
    seen = describe(server, papers.context())
    assert seen["scheme"] == "https"
    tls = seen["tls"]
    assert {"server_cert", "tls_version", "cipher_suite"} <= tls.keys()
    assert der(tls["server_cert"]) == seen["sent"] == first_certificate(papers.first)
    assert tls["client_cert_chain"] == []
    assert tls.get("client_cert_name") is None
    assert tls.get("client_cert_error") is None


@pytest.mark.parametrize(("version", "number"), [(ssl.TLSVersion.TLSv1_2, 0x0303), (ssl.TLSVersion.TLSv1_3, 0x0304)])
def test_version_and_cipher_suite(server: Server, papers: Papers, version: ssl.TLSVersion, number: int) -> None:
    context = papers.context()
    context.minimum_version = context.maximum_version = version
    if version is ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    tls = describe(server, context)["tls"]
    assert tls["tls_version"] == number
    # TLS_ECDHE_{ECDSA,RSA}_WITH_AES_128_GCM_SHA256, or any of TLS 1.3.
    assert tls["cipher_suite"] in ((0xC02B, 0xC02F) if number == 0x0303 else (0x1301, 0x1302, 0x1303))


def test_server_name_chooses_the_certificate(server: Server, papers: Papers) -> None:
    for name, path in [(FIRST, papers.first), (SECOND, papers.second), (FIRST, papers.first)]:
        seen = describe(server, papers.context(), name)
        assert seen["sent"] == first_certificate(path)
        assert der(seen["tls"]["server_cert"]) == seen["sent"]


@pytest.mark.parametrize("name", ["unknown.example", None])
def test_unknown_server_name_gets_the_first_certificate(server: Server, papers: Papers, name: str | None) -> None:
    context = papers.context()
    context.check_hostname = False
    with socket.create_connection(server.address, timeout=20) as plain:
        with context.wrap_socket(plain, server_hostname=name) as wrapped:
            assert wrapped.getpeercert(binary_form=True) == first_certificate(papers.first)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(server: Server, papers: Papers, version: ssl.TLSVersion) -> None:
    context = papers.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)) as refusal:
        describe(server, context)
    assert "NO_PROTOCOLS_AVAILABLE" not in str(refusal.value), "the client itself refused"


def test_client_certificate_in_the_extension(asking_server: Server, papers: Papers) -> None:
    tls = describe(asking_server, papers.context(papers.client))["tls"]
    assert der(tls["client_cert_chain"][0]) == first_certificate(papers.client)
    assert "CN=Ada\\, Countess" in tls["client_cert_name"], "RFC 4514 escapes the comma"
    assert tls.get("client_cert_error") is None


def test_client_certificate_is_optional_where_it_is_only_asked_for(asking_server: Server, papers: Papers) -> None:
    tls = describe(asking_server, papers.context())["tls"]
    assert tls["client_cert_chain"] == []
    assert tls.get("client_cert_name") is None


def test_client_certificate_that_is_required(strict_server: Server, papers: Papers) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        describe(strict_server, papers.context())
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        describe(strict_server, papers.context(papers.stranger))
    seen = describe(strict_server, papers.context(papers.client))
    assert der(seen["tls"]["client_cert_chain"][0]) == first_certificate(papers.client)


def test_client_certificate_by_curl(strict_server: Server, papers: Papers) -> None:
    place = ["--cacert", str(papers.authority), "--resolve", f"{FIRST}:{strict_server.port}:127.0.0.1"]
    url = f"https://{FIRST}:{strict_server.port}/describe"
    assert curl(*place, url).exit_code != 0
    result = curl(*place, "--cert", str(papers.client), url)
    assert result.exit_code == 0
    assert json.loads(result.body)["scheme"] == "https"


def test_certificates_stay_with_their_connection(asking_server: Server, papers: Papers) -> None:
    """A resumed session still tells who the client is, and nobody else is taken for it."""
    context = papers.context(papers.client)
    with Connection(asking_server.address, tls=context, server_name=FIRST) as connection:
        first = json.loads(connection.ask("GET", "/describe").body)["tls"]
        assert isinstance(connection.socket, ssl.SSLSocket)
        session = connection.socket.session
    with Connection(asking_server.address, tls=context, server_name=FIRST, session=session) as resumed:
        tls = json.loads(resumed.ask("GET", "/describe").body)["tls"]
    assert tls["client_cert_name"] == first["client_cert_name"]
    assert describe(asking_server, papers.context())["tls"]["client_cert_chain"] == []


def test_plain_text_on_a_tls_port_harms_nobody(server: Server, papers: Papers) -> None:
    with Connection(server.address) as connection:
        connection.request("GET", "/describe")
        assert b"200" not in connection.read_to_end().split(b"\r\n")[0]
    assert describe(server, papers.context())["scheme"] == "https"


def test_silent_and_half_done_handshakes_hold_up_nobody(server: Server, papers: Papers) -> None:
    with Connection(server.address), Connection(server.address) as half:
        half.send(b"\x16\x03\x01\x02\x00\x01")
        assert describe(server, papers.context())["scheme"] == "https"


def test_pipelined_over_tls(server: Server, papers: Papers) -> None:
    with Connection(server.address, tls=papers.context(), server_name=FIRST) as connection:
        connection.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" * 100)
        assert [connection.read("POST").body for _ in range(100)] == [b"hello"] * 100


def test_no_extension_on_plain_connections(papers: Papers) -> None:
    with running("tls_site:asgi_app", app_dir=HERE, environment={"BIG_FILE": str(papers.large)}) as plain:
        assert httpx.get(f"{plain.origin}/describe", trust_env=False).json() == {
            "scheme": "http",
            "tls": None,
            "path": "/describe",
        }
