"""A certificate's names and subject, read from its DER bytes."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from torana.net.certificate import CertificateError, first_certificate, pem_of, read_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
END = datetime.datetime(2061, 5, 6, 7, 8, 9)
EMAIL = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b")


def made(
    subject: x509.Name,
    names: list[x509.GeneralName] | None = None,
    end: datetime.datetime = END,
    critical: bool = False,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([]))
        .public_key(KEY.public_key())
        .serial_number(0x8123456789ABCDEF)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def name_of(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def test_names_are_those_of_the_extension() -> None:
    names: list[x509.GeneralName] = [
        x509.DNSName("Example.ORG"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.RFC822Name("a@b.c"),
        x509.DNSName("*.example.org"), x509.DNSName("example.org"), x509.UniformResourceIdentifier("http://x/"),
    ]  # fmt: skip
    for critical in (False, True):
        found = read_certificate(made(name_of((NameOID.COMMON_NAME, "other.org")), names, critical=critical))
        assert found.names == ("example.org", "*.example.org")


@pytest.mark.parametrize("name", ["a b.org", "f*.org", "*", "a..b", "", "x" * 64 + ".org"])
def test_names_that_are_none_are_for_nobody(name: str) -> None:
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.DNSName("good.org")]
    assert read_certificate(made(x509.Name([]), names)).names == ("good.org",)


def test_a_nul_in_a_name_does_not_make_it_shorter() -> None:
    der = made(x509.Name([]), [x509.DNSName("good.orgXevil.org")]).replace(b"good.orgX", b"good.org\0")
    assert read_certificate(der).names == ()


def test_without_the_extension_the_common_name_counts() -> None:
    assert read_certificate(made(name_of((NameOID.COMMON_NAME, "Old.org")))).names == ("old.org",)
    assert read_certificate(made(name_of((NameOID.COMMON_NAME, "Ann Other")))).names == ()


@pytest.mark.parametrize(
    "end",
    [END, datetime.datetime(2049, 12, 31, 23, 59, 59), datetime.datetime(2050, 1, 1), datetime.datetime(9999, 12, 31)],
)
def test_the_end_of_validity_is_read_in_both_forms(end: datetime.datetime) -> None:
    found = read_certificate(made(x509.Name([]), end=end))
    assert found.not_after_s == int(end.replace(tzinfo=datetime.UTC).timestamp())


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([], ""),
        ([(NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "Org"), (NameOID.COMMON_NAME, "Ann")],
         "CN=Ann,O=Org,C=DE"),
        ([(NameOID.COMMON_NAME, "a,b+c\"d\\e<f>g;h=i")], "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i"),
        ([(NameOID.COMMON_NAME, " a ")], "CN=\\ a\\ "),
        ([(NameOID.COMMON_NAME, " ")], "CN=\\ "),
        ([(NameOID.COMMON_NAME, "#a#")], "CN=\\#a#"),
        ([(NameOID.COMMON_NAME, "Ján")], "CN=Ján"),
        ([(NameOID.COMMON_NAME, "a\0\n")], "CN=a\\00\\0a"),
        ([(NameOID.DOMAIN_COMPONENT, "org"), (NameOID.DOMAIN_COMPONENT, "x"), (NameOID.USER_ID, "u")],
         "UID=u,DC=x,DC=org"),
        ([(NameOID.EMAIL_ADDRESS, "a@b")], "1.2.840.113549.1.9.1=#1603614062"),
        ([(NameOID.SERIAL_NUMBER, "7")], "2.5.4.5=#130137"),
    ],
)  # fmt: skip
def test_subjects_are_written_as_rfc_4514_says(pairs: list[tuple[x509.ObjectIdentifier, str]], text: str) -> None:
    assert read_certificate(made(name_of(*pairs))).subject == text


def test_a_part_of_several_values_is_joined_with_plus() -> None:
    part = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a"), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "b")]
    )
    assert set(read_certificate(made(x509.Name([part]))).subject.split("+")) == {"CN=a", "OU=b"}


def test_pem_is_read_and_written() -> None:
    der = made(name_of((NameOID.COMMON_NAME, "first.org")))
    pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    assert pem_of(der).encode() == pem
    other = pem_of(made(name_of((NameOID.COMMON_NAME, "second.org")))).encode()
    found = first_certificate(b"some words\n" + pem.replace(b"\n", b"\r\n") + other)
    assert found.der == der
    assert found.pem().encode() == pem


@pytest.mark.parametrize(
    "pem",
    [b"", b"words", b"-----BEGIN CERTIFICATE-----\nAAAA\n",
     b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n",
     b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
     b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END P-----"],
)  # fmt: skip
def test_what_holds_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(CertificateError):
        first_certificate(pem)


WHOLE = made(
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ann"), EMAIL]), [x509.DNSName("a.org"), x509.DNSName("*.b.org")]
)


def test_no_certificate_cut_short_is_taken_for_one() -> None:
    for at in range(len(WHOLE)):
        with pytest.raises(CertificateError):
            read_certificate(WHOLE[:at])
    with pytest.raises(CertificateError):
        read_certificate(WHOLE + b"\0")


def test_no_changed_byte_breaks_the_reader() -> None:
    for at in range(len(WHOLE)):
        for change in (0x01, 0x80, 0xFF):
            data = bytearray(WHOLE)
            data[at] ^= change
            try:
                read_certificate(bytes(data))
            except CertificateError:
                pass


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_input_breaks_the_reader(data: bytes) -> None:
    for der in (data, b"\x30\x81" + bytes([len(data)]) + data):
        try:
            read_certificate(der)
        except CertificateError:
            pass


@pytest.mark.parametrize(
    "der",
    [
        b"\x30\x80\x00\x00",
        b"\x30\x81\x01\x00",
        b"\x30\x82\x00\x81" + b"\0" * 129,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x3f\x21\x00",
    ],
)
def test_lengths_and_tags_that_der_forbids_are_refused(der: bytes) -> None:
    with pytest.raises(CertificateError):
        read_certificate(der)
