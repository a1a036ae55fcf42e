"""Contexts: chosen by name, closed when in doubt, kept when the new ones are bad; and what is told of a connection."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from torana.base.errors import ConfigError
from torana.net.options import TlsOptions
from torana.net.tls import HANDSHAKES_A_BATCH, TlsContexts, tls_facts

CA = trustme.CA()
OTHER_CA = trustme.CA()
ONE = CA.issue_cert("one.example", "127.0.0.1")
TWO = CA.issue_cert("two.example", "*.two.example")
CLIENT = CA.issue_cert("ann@example.org", common_name='Ann "A", B+')
STRANGER = OTHER_CA.issue_cert("eve@example.org", common_name="Eve")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, cert in (("one", ONE), ("two", TWO), ("client", CLIENT)):
        cert.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in cert.cert_chain_pems))
        cert.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.both")
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path


def options(folder: Path, **changes: object) -> TlsOptions:
    values: dict[str, object] = {"certfile": str(folder / "one.pem"), "keyfile": str(folder / "one.key")}
    values.update(changes)
    return TlsOptions(**values)  # type: ignore[arg-type]


def two(folder: Path) -> tuple[tuple[str, str | None], ...]:
    return ((str(folder / "two.pem"), str(folder / "two.key")),)


def client_context(cert: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    if cert is not None:
        cert.configure_cert(context)
    return context


def handshake(
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    name: str | None = "one.example",
    session: ssl.SSLSession | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    if name is None:
        client.check_hostname = False
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    for _ in range(8):
        done = 0
        for end in (theirs, ours):
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:
            break
    ours.write(b"x")
    theirs.read(1)  # Takes the session tickets along.
    return ours, theirs


def subject_of(end: ssl.SSLObject) -> bytes | None:
    return end.getpeercert(True)


def der_of(cert: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(cert.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one.example", ONE), ("ONE.example", ONE), ("two.example", TWO), ("a.two.example", TWO),
        ("A.TWO.EXAMPLE", TWO), ("a.b.two.example", ONE), ("unknown.example", ONE), (None, ONE),
        ("xtwo.example", ONE), ("two.example.", TWO),
    ],
)  # fmt: skip
def test_the_certificate_is_chosen_by_server_name(folder: Path, name: str | None, expected: trustme.LeafCert) -> None:
    contexts = TlsContexts(options(folder, more_certificates=two(folder)))
    client = client_context()
    client.check_hostname = False
    ours, theirs = handshake(contexts.default, client, name)
    assert theirs.getpeercert(True) == der_of(expected)
    facts = tls_facts(ours, ours.context)
    assert ssl.PEM_cert_to_DER_cert(facts["server_cert"]) == der_of(expected)
    assert contexts.choose(name) is ours.context


def test_a_key_may_stand_in_the_certificate_file(folder: Path) -> None:
    contexts = TlsContexts(TlsOptions(certfile=str(folder / "one.both")))
    handshake(contexts.default, client_context())


@pytest.mark.parametrize(("version", "number"), [(ssl.TLSVersion.TLSv1_2, 0x0303), (ssl.TLSVersion.TLSv1_3, 0x0304)])
def test_the_facts_of_a_plain_connection(folder: Path, version: ssl.TLSVersion, number: int) -> None:
    contexts = TlsContexts(options(folder))
    client = client_context()
    client.maximum_version = client.minimum_version = version
    ours, theirs = handshake(contexts.default, client)
    facts = tls_facts(ours, contexts.default)
    cipher = theirs.cipher()
    assert cipher is not None
    [suite] = [known["id"] & 0xFFFF for known in client.get_ciphers() if known["name"] == cipher[0]]
    assert facts == {
        "server_cert": ONE.cert_chain_pems[0].bytes().decode(),
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": number,
        "cipher_suite": suite,
    }
    assert type(facts["tls_version"]) is int and type(facts["cipher_suite"]) is int


def test_the_suite_is_its_iana_number(folder: Path) -> None:
    contexts = TlsContexts(options(folder, ciphers="ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"))
    client = client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    ours, _ = handshake(contexts.default, client)
    assert tls_facts(ours, contexts.default)["cipher_suite"] in (0xC02F, 0xC02B)


def test_old_versions_are_refused(folder: Path) -> None:
    contexts = TlsContexts(options(folder))
    client = client_context()
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(contexts.default, client)


def test_only_suites_with_forward_secrecy_and_authentication_are_offered(folder: Path) -> None:
    names = [known["name"] for known in TlsContexts(options(folder)).default.get_ciphers()]
    assert names
    assert all(name.startswith(("TLS_", "ECDHE-")) and ("GCM" in name or "CHACHA20" in name) for name in names)


def test_dangerous_features_are_off(folder: Path) -> None:
    context = TlsContexts(options(folder)).default
    for flag in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_CIPHER_SERVER_PREFERENCE):
        assert context.options & flag
    assert not context.options & ssl.OP_NO_TICKET


def test_alpn_is_agreed_on_and_a_stranger_is_still_served(folder: Path) -> None:
    contexts = TlsContexts(options(folder, alpn=("h2", "http/1.1")))
    for offered, agreed in ((["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["spdy/3"], None)):
        client = client_context()
        client.set_alpn_protocols(offered)
        ours, _ = handshake(contexts.default, client)
        assert ours.selected_alpn_protocol() == agreed


def test_sessions_are_resumed(folder: Path) -> None:
    contexts = TlsContexts(options(folder))
    client = client_context()
    _, theirs = handshake(contexts.default, client)
    ours, again = handshake(contexts.default, client, session=theirs.session)
    assert again.session_reused
    assert tls_facts(ours, contexts.default)["tls_version"] == 0x0304


# --- client certificates


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_client_certificate_is_told(folder: Path, mode: str) -> None:
    contexts = TlsContexts(options(folder, cert_reqs=mode, ca_certs=str(folder / "ca.pem")))
    ours, _ = handshake(contexts.default, client_context(CLIENT))
    facts = tls_facts(ours, contexts.default)
    chain = [ssl.PEM_cert_to_DER_cert(pem) for pem in facts["client_cert_chain"]]
    assert chain[0] == der_of(CLIENT)
    assert chain[1:] in ([], [ssl.PEM_cert_to_DER_cert(CA.cert_pem.bytes().decode())])
    assert facts["client_cert_name"].startswith('CN=Ann \\"A\\"\\, B\\+,')
    assert facts["client_cert_error"] is None


def test_an_intermediate_stands_between_leaf_and_root(folder: Path) -> None:
    child = CA.create_child_ca().issue_cert("ann@example.org", common_name="Ann")
    contexts = TlsContexts(options(folder, cert_reqs="required", ca_certs=str(folder / "ca.pem")))
    ours, _ = handshake(contexts.default, client_context(child))
    chain = [ssl.PEM_cert_to_DER_cert(pem) for pem in tls_facts(ours, contexts.default)["client_cert_chain"]]
    assert chain[:2] == [ssl.PEM_cert_to_DER_cert(blob.bytes().decode()) for blob in child.cert_chain_pems[:2]]


def test_a_resumed_client_still_has_its_name(folder: Path) -> None:
    contexts = TlsContexts(options(folder, cert_reqs="required", ca_certs=str(folder / "ca.pem")))
    client = client_context(CLIENT)
    _, theirs = handshake(contexts.default, client)
    ours, again = handshake(contexts.default, client, session=theirs.session)
    assert again.session_reused
    facts = tls_facts(ours, contexts.default)
    assert ssl.PEM_cert_to_DER_cert(facts["client_cert_chain"][0]) == der_of(CLIENT)


def test_facts_of_one_client_are_not_those_of_another(folder: Path) -> None:
    contexts = TlsContexts(options(folder, cert_reqs="optional", ca_certs=str(folder / "ca.pem")))
    named, _ = handshake(contexts.default, client_context(CLIENT))
    assert tls_facts(named, contexts.default)["client_cert_name"]
    nameless, _ = handshake(contexts.default, client_context())
    facts = tls_facts(nameless, contexts.default)
    assert (facts["client_cert_name"], facts["client_cert_chain"]) == (None, [])


@pytest.mark.parametrize(
    ("mode", "cert"),
    [("required", None), ("required", STRANGER), ("optional", STRANGER)],
    ids=["none", "bad", "bad-optional"],
)
def test_without_a_good_client_certificate_there_is_no_connection(
    folder: Path, mode: str, cert: trustme.LeafCert | None
) -> None:
    contexts = TlsContexts(options(folder, cert_reqs=mode, ca_certs=str(folder / "ca.pem")))
    with pytest.raises(ssl.SSLError):
        handshake(contexts.default, client_context(cert))


# --- fail closed


def written(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def test_every_wrong_setting_names_itself_and_its_file(folder: Path) -> None:
    one, key = str(folder / "one.pem"), str(folder / "one.key")
    garbage = written(folder, "garbage", b"garbage")
    damaged = written(folder, "damaged", ONE.cert_chain_pems[0].bytes().replace(b"A", b"B"))
    empty = written(folder, "empty", b"")
    missing = str(folder / "missing")
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({"certfile": missing}, ["certfile", missing, "No such file"]),
        ({"certfile": str(folder)}, ["certfile", str(folder), "directory"]),
        ({"certfile": garbage}, ["certfile", garbage, "no PEM certificate"]),
        ({"certfile": empty}, ["certfile", empty]),
        ({"certfile": damaged}, ["certfile", damaged]),
        ({"certfile": key}, ["certfile", key, "no PEM certificate"]),
        ({"keyfile": missing}, ["keyfile", missing, "No such file"]),
        ({"keyfile": garbage}, ["keyfile", garbage]),
        ({"keyfile": one}, ["keyfile", one]),
        ({"keyfile": str(folder / "two.key")}, ["keyfile", "does not belong", one]),
        ({"keyfile": None}, ["certfile", one, "no private key", "keyfile"]),
        ({"more_certificates": ((missing, None),)}, ["more_certificates[1]", missing]),
        (
            {"more_certificates": (*two(folder), (one, str(folder / "two.key")))},
            ["more_certificates[2]", "does not belong"],
        ),
        ({"ca_certs": missing}, ["ca_certs", missing]),
        ({"ca_certs": empty, "cert_reqs": "required"}, ["ca_certs", empty]),
        ({"ca_certs": garbage, "cert_reqs": "optional"}, ["ca_certs", garbage]),
        ({"cert_reqs": "required"}, ["cert_reqs", "ca_certs"]),
        ({"cert_reqs": "optional"}, ["cert_reqs", "ca_certs"]),
        ({"cert_reqs": "sometimes"}, ["cert_reqs", "'sometimes'"]),
        ({"ciphers": "NONSENSE"}, ["ciphers", "NONSENSE"]),
    ]
    for changes, words in cases:
        with pytest.raises(ConfigError) as caught:
            TlsContexts(options(folder, **changes))
        sentence = str(caught.value)
        assert all(word in sentence for word in words), sentence
        assert caught.value.exit_code == 2


def test_encrypted_keys_need_their_password_and_never_ask(folder: Path) -> None:
    key = serialization.load_pem_private_key(ONE.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    keyfile = written(folder, "encrypted.key", encrypted)
    handshake(TlsContexts(options(folder, keyfile=keyfile, keyfile_password="secret")).default, client_context())
    for password, words in ((None, "is encrypted"), ("wrong", "does not open")):
        with pytest.raises(ConfigError, match=words) as caught:
            TlsContexts(options(folder, keyfile=keyfile, keyfile_password=password))
        assert "keyfile_password" in str(caught.value) and "wrong" not in str(caught.value)


# --- reload


def touch(path: Path, seconds: int) -> None:
    found = path.stat()
    os.utime(path, (found.st_atime, found.st_mtime + seconds))


def test_nothing_changed_is_nothing_done(folder: Path) -> None:
    contexts = TlsContexts(options(folder))
    before = contexts.default
    assert contexts.reload_if_changed() is None
    assert contexts.default is before


def test_changed_files_are_served_from_the_next_handshake_on(folder: Path) -> None:
    contexts = TlsContexts(options(folder))
    new = CA.issue_cert("one.example")
    new.private_key_pem.write_to_path(folder / "one.key")
    (folder / "one.pem").write_bytes(new.cert_chain_pems[0].bytes())
    touch(folder / "one.pem", 5)
    said = contexts.reload_if_changed()
    assert said is not None and said.startswith("TLS certificates reloaded")
    _, theirs = handshake(contexts.default, client_context())
    assert theirs.getpeercert(True) == der_of(new)
    assert contexts.reload_if_changed() is None


def test_bad_files_leave_the_old_ones_in_service_and_are_told_once(folder: Path) -> None:
    contexts = TlsContexts(options(folder))
    (folder / "one.pem").write_bytes((folder / "two.pem").read_bytes())
    touch(folder / "one.pem", 5)
    said = contexts.reload_if_changed()
    assert said is not None and "old ones stay" in said and "one.key" in said
    assert contexts.reload_if_changed() is None
    _, theirs = handshake(contexts.default, client_context())
    assert theirs.getpeercert(True) == der_of(ONE)
    # The key follows the certificate: now they fit.
    (folder / "one.key").write_bytes((folder / "two.key").read_bytes())
    touch(folder / "one.key", 5)
    said = contexts.reload_if_changed()
    assert said is not None and said.startswith("TLS certificates reloaded")


def test_a_missing_ca_file_never_opens_the_door(folder: Path) -> None:
    contexts = TlsContexts(options(folder, cert_reqs="required", ca_certs=str(folder / "ca.pem")))
    (folder / "ca.pem").unlink()
    said = contexts.reload_if_changed()
    assert said is not None and "ca_certs" in said
    with pytest.raises(ssl.SSLError):
        handshake(contexts.default, client_context())


def test_ticket_keys_do_not_live_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = TlsContexts(options(folder))
    before = contexts.default
    monkeypatch.setattr("torana.net.tls.TICKET_KEYS_S", 0.0)
    assert contexts.reload_if_changed() is None
    assert contexts.default is not before


def test_a_batch_has_room_for_some_handshakes_only(folder: Path) -> None:
    contexts = TlsContexts(options(folder))
    assert [contexts.may_shake(1.0) for _ in range(HANDSHAKES_A_BATCH + 2)] == [True] * HANDSHAKES_A_BATCH + [False] * 2
    assert contexts.may_shake(1.1)
