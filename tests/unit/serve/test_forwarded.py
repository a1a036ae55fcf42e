"""Nobody's word is taken for a client unless he was named as trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torana.base.endpoints import Endpoints
from torana.base.errors import ConfigError
from torana.base.forwarding import FORWARDING_INITIALS, FORWARDING_NAMES, is_forwarding
from torana.serve.forwarded import MAX_ELEMENTS, Applied, Trust, ignored_sentence
from torana.wire.events import Fields, WireError

PROXY = ("10.0.0.1", 5000)
SERVER = ("10.0.0.9", 8000)
DEFAULT = Trust(("127.0.0.1", "::1", "unix", "10.0.0.0/8", "2001:db8::/32"))


def ends(client: tuple[str, int] | None = PROXY, scheme: str = "http") -> Endpoints:
    return Endpoints(client, SERVER, scheme)


def fields(*pairs: tuple[str, str | bytes]) -> Fields:
    return [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in pairs]


def apply(*pairs: tuple[str, str | bytes], trust: Trust = DEFAULT, client: tuple[str, int] | None = PROXY) -> Applied:
    return trust.apply(ends(client), fields(*pairs))


# --- who is trusted


@pytest.mark.parametrize(
    ("host", "is_unix", "expected"),
    [
        ("127.0.0.1", False, True), ("127.0.0.2", False, False), ("::1", False, True), ("10.255.0.1", False, True),
        ("11.0.0.1", False, False), ("2001:db8::5", False, True), ("2001:db9::5", False, False),
        ("::ffff:10.0.0.1", False, True), ("::ffff:11.0.0.1", False, False), ("not an address", False, False),
        ("", False, False), (None, True, True), (None, False, False), ("unix", False, False), ("*", False, False),
    ],
)  # fmt: skip
def test_trust_is_by_address_and_network(host: str | None, is_unix: bool, expected: bool) -> None:
    for _ in range(2):  # The second answer comes from memory.
        assert DEFAULT.is_trusted(host, is_unix) is expected


def test_unix_peers_are_untrusted_unless_named() -> None:
    assert not Trust(("127.0.0.1",)).is_trusted(None, True)
    assert Trust(("*",)).is_trusted(None, True)
    assert not Trust(()).is_trusted("127.0.0.1")


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "1.2.3", "all", "010.0.0.1"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="forwarded_allow_ips"):
        Trust((text,))


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ConfigError, match="forwarded_family"):
        Trust((), family="both")


def test_memory_of_hosts_is_bounded() -> None:
    trust = Trust(("10.0.0.0/8",))
    for number in range(5000):
        trust.is_trusted(f"192.0.{number // 250}.{number % 250}")
    assert len(trust._known) <= 1024


# --- an untrusted peer

SPOOFED = [
    "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix",
    "x-forwarded-ssl", "x-forwarded-user", "x-forwarded-client-cert", "x-forwarded-anything", "x-real-ip",
    "x-client-ip", "x-ssl-client-cert", "ssl-client-verify", "front-end-https", "true-client-ip", "x_forwarded_for",
    "x_real_ip", "ssl_client_s_dn", "client-cert",
]  # fmt: skip


@pytest.mark.parametrize("client", [("192.0.2.1", 1), None])
@pytest.mark.parametrize("name", SPOOFED)
def test_all_forwarding_fields_of_an_untrusted_peer_are_removed(name: str, client: tuple[str, int] | None) -> None:
    before = ends(client)
    given = fields(("host", "h"), (name, "1.2.3.4"), ("accept", "*/*"), (name, "https"))
    result = Trust(("10.0.0.1",)).apply(before, given)
    assert result == (before, fields(("host", "h"), ("accept", "*/*")), "", (name.encode(),))
    assert result.endpoints is before
    assert given[1][0] == name.encode()  # What was given is not changed.


@pytest.mark.parametrize("name", ["host", "x-forward", "x-request-id", "x-real", "via", "ssl", "authorization"])
def test_other_fields_are_not_forwarding(name: str) -> None:
    assert not is_forwarding(name.encode())


def test_every_forwarding_name_begins_with_an_initial() -> None:
    assert {name[0] for name in FORWARDING_NAMES} <= FORWARDING_INITIALS
    assert all(name.encode()[0] in FORWARDING_INITIALS and is_forwarding(name.encode()) for name in SPOOFED)


def test_the_log_line_says_who_what_and_how_to_change_it() -> None:
    assert ignored_sentence("10.0.0.1", (b"x-forwarded-proto",)) == (
        "X-Forwarded-Proto from untrusted peer 10.0.0.1 ignored: if it is your proxy, add it to --forwarded-allow-ips"
    )
    assert "a unix socket ignored: if it is your proxy, add unix to" in ignored_sentence(None, (b"x-real-ip",))
    assert len(ignored_sentence("10.0.0.1", tuple(b"x-forwarded-%d" % n for n in range(99)))) < 250


def test_even_endless_fields_of_an_untrusted_peer_are_only_removed() -> None:
    result = apply(("x-forwarded-for", "1.2.3.4," * 10_000), client=("192.0.2.1", 1))
    assert result.fields == []


# --- X-Forwarded-For

X_FOR = {
    "one": ("192.0.2.7", ("192.0.2.7", 0)),
    "with port": ("192.0.2.7:443", ("192.0.2.7", 443)),
    "v6": ("2001:db9::7", ("2001:db9::7", 0)),
    "v6 is made canonical": ("2001:0DB9:0::7", ("2001:db9::7", 0)),
    "v6 in brackets": ("[2001:db9::7]", ("2001:db9::7", 0)),
    "v6 in brackets with port": ("[2001:db9::7]:443", ("2001:db9::7", 443)),
    "mapped v4": ("::ffff:192.0.2.7", ("192.0.2.7", 0)),
    "stranger to the left": ("6.6.6.6, 192.0.2.7", ("192.0.2.7", 0)),
    "trusted hop between": ("6.6.6.6, 192.0.2.7, 10.0.0.2", ("192.0.2.7", 0)),
    "private client": ("192.168.0.5, 10.0.0.2", ("192.168.0.5", 0)),
    "all trusted": ("10.0.0.3, 10.0.0.2", ("10.0.0.3", 0)),
    "garbage ends the walk": ("192.0.2.7, garbage, 10.0.0.2", ("10.0.0.2", 0)),
    "garbage at once": ("192.0.2.7, garbage", PROXY),
    "unknown": ("192.0.2.7, unknown", PROXY),
    "empty": ("", PROXY),
    "empty element": ("192.0.2.7,", PROXY),
    "zone": ("fe80::1%eth0", PROXY),
    "port too big": ("192.0.2.7:65536", PROXY),
    "port not a number": ("192.0.2.7:http", PROXY),
    "port empty": ("192.0.2.7:", PROXY),
    "bracket open": ("[2001:db9::7", PROXY),
    "v4 in brackets": ("[192.0.2.7]", PROXY),
    "junk behind bracket": ("[2001:db9::7]x", PROXY),
    "colon behind bracket": ("[2001:db9::7]:", PROXY),
    "quoted": ('"192.0.2.7"', PROXY),
    "octal": ("010.0.0.1", PROXY),
    "not ascii": (b"\xb9\xb2.0.2.7", PROXY),
    "huge": ("1" * 1000, PROXY),
    "tabs": ("6.6.6.6\t,\t192.0.2.7\t", ("192.0.2.7", 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", X_FOR)
def test_x_forwarded_for_is_walked_from_the_right(name: str) -> None:
    value, client = X_FOR[name]
    assert apply(("x-forwarded-for", value)).endpoints.client == client


def test_several_lines_are_one_list_in_order() -> None:
    result = apply(("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7, 10.0.0.2"))
    assert result.endpoints.client == ("192.0.2.7", 0)


def test_trust_in_all_takes_the_left_most() -> None:
    assert apply(("x-forwarded-for", "6.6.6.6, 192.0.2.7"), trust=Trust(("*",))).endpoints.client == ("6.6.6.6", 0)


def test_a_trusted_unix_peer_speaks_for_its_client() -> None:
    assert apply(("x-forwarded-for", "192.0.2.7"), client=None).endpoints.client == ("192.0.2.7", 0)
    assert apply(("x-forwarded-for", "unknown"), client=None).endpoints.client is None


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-proto", "forwarded"])
def test_too_many_elements_or_bytes_are_refused(name: str) -> None:
    element = "for=10.0.0.2" if name == "forwarded" else "https" if name.endswith("proto") else "10.0.0.2"
    apply((name, ",".join([element] * MAX_ELEMENTS)))
    for value in (",".join([element] * (MAX_ELEMENTS + 1)), element + "," * 10_000, element + " " * 2048 + "x"):
        with pytest.raises(WireError) as caught:
            apply((name, value))
        assert caught.value.status == 400


# --- the scheme


@pytest.mark.parametrize(
    ("pairs", "scheme"),
    [
        ([("x-forwarded-proto", "https")], "https"),
        ([("x-forwarded-proto", "HTTPS")], "https"),
        ([("x-forwarded-proto", "wss")], "https"),
        ([("x-forwarded-proto", "ws")], "http"),
        ([("x-forwarded-proto", "javascript")], "http"),
        ([("x-forwarded-proto", "")], "http"),
        ([("x-forwarded-proto", "https,https")], "https"),
        ([("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")], "https"),
        ([("x-forwarded-ssl", "on")], "https"),
        ([("x-forwarded-ssl", "yes")], "http"),
        ([("x-forwarded-protocol", "ssl")], "https"),
        ([("x-forwarded-scheme", "https"), ("x-forwarded-proto", "https")], "https"),
        ([("x-forwarded-for", "192.0.2.7, 10.0.0.2"), ("x-forwarded-proto", "https, http")], "https"),
        ([("x-forwarded-for", "6.6.6.6, 192.0.2.7"), ("x-forwarded-proto", "https, http")], "http"),
        ([("x-forwarded-for", "garbage"), ("x-forwarded-proto", "https")], "https"),
        ([("x-scheme", "https"), ("front-end-https", "on")], "http"),
    ],
)
def test_the_scheme_is_one_of_two(pairs: list[tuple[str, str]], scheme: str) -> None:
    assert apply(*pairs).endpoints.scheme == scheme


@pytest.mark.parametrize(
    "pairs",
    [
        [("x-forwarded-proto", "https,http")],
        [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")],
        [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https, http")],
        [("x-forwarded-proto", "https"), ("x-forwarded-ssl", "off")],
        [("x-forwarded-proto", "http"), ("x-forwarded-ssl", "on")],
        [("x-forwarded-protocol", "ssl"), ("x-forwarded-scheme", "http")],
    ],
)
def test_schemes_that_contradict_each_other_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(WireError) as caught:
        apply(*pairs)
    assert (caught.value.status, caught.value.reason) == (400, "forwarded-scheme-conflict")


def test_a_trusted_proxy_may_say_that_its_client_spoke_plain_http() -> None:
    result = DEFAULT.apply(ends(scheme="https"), fields(("x-forwarded-proto", "http")))
    assert result.endpoints.scheme == "http"


# --- Forwarded

FORWARDED = {
    "for": ("for=192.0.2.7", ("192.0.2.7", 0), "http"),
    "names and schemes in any case": ("For=192.0.2.7;PROTO=HTTPS", ("192.0.2.7", 0), "https"),
    "quoted v6 with port": ('for="[2001:db9::7]:443"', ("2001:db9::7", 443), "http"),
    "quoted v4 with port": ('for="192.0.2.7:443"', ("192.0.2.7", 443), "http"),
    "hidden port": ('for="192.0.2.7:_p"', ("192.0.2.7", 0), "http"),
    "quoted pair": ('for="192.0.2.\\7"', ("192.0.2.7", 0), "http"),
    "stranger to the left": ("for=6.6.6.6;proto=https, for=192.0.2.7;proto=http", ("192.0.2.7", 0), "http"),
    "hops between": ("for=192.0.2.7;proto=https;by=_x, for=10.0.0.2;proto=http", ("192.0.2.7", 0), "https"),
    "unknown": ("for=192.0.2.7, for=unknown;proto=https", PROXY, "https"),
    "hidden": ("for=_gazonk;proto=https", PROXY, "https"),
    "v6 without brackets": ('for="2001:db9::7"', PROXY, "http"),
    "no for": ("proto=https", PROXY, "https"),
    "blanks around": (" for=192.0.2.7 ; proto=https\t,\tfor=10.0.0.2 ", ("192.0.2.7", 0), "https"),
    "empty elements": (",, for=192.0.2.7 ,;,", ("192.0.2.7", 0), "http"),
    "comma in quotes": ('for="_a,b";x="1,2;3"', PROXY, "http"),
    "scheme not allowed": ("for=192.0.2.7;proto=javascript", ("192.0.2.7", 0), "http"),
    "name twice": ("for=192.0.2.7;for=192.0.2.8;proto=https", PROXY, "http"),
    "no value": ("for=;proto=https", PROXY, "http"),
    "no equals": ("for;proto=https", PROXY, "http"),
    "blank at equals": ("for = 192.0.2.7;proto=https", PROXY, "http"),
    "quote open": ('for=192.0.2.7;proto="https', PROXY, "http"),
    "junk after quotes": ('for="192.0.2.7"x;proto=https', PROXY, "http"),
    "v6 unquoted": ("for=[2001:db9::7];proto=https", PROXY, "http"),
    "not ascii": (b"for=\xff;proto=https", PROXY, "http"),
    "empty": ("", PROXY, "http"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded_is_read_as_its_rfc_says(name: str) -> None:
    value, client, scheme = FORWARDED[name]
    result = apply(("forwarded", value))
    assert (result.endpoints.client, result.endpoints.scheme) == (client, scheme)


def test_several_lines_of_forwarded_are_one_list() -> None:
    result = apply(("forwarded", "for=192.0.2.7;proto=https"), ("forwarded", "for=10.0.0.2"))
    assert (result.endpoints.client, result.endpoints.scheme) == (("192.0.2.7", 0), "https")


# --- one family, never a mix

BOTH = [("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "http")]


def test_two_families_that_agree_are_believed() -> None:
    result = apply(
        ("forwarded", 'for="192.0.2.7:99";proto=https'),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
    )
    assert (result.endpoints.client, result.endpoints.scheme) == (("192.0.2.7", 99), "https")


@pytest.mark.parametrize(
    "pairs",
    [
        BOTH,
        [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.7")],
        # The proxy wrote only one of these; the scheme of the other may be the client's wish.
        [("forwarded", "for=192.0.2.7;proto=https"), ("x-forwarded-for", "192.0.2.7")],
        [("forwarded", "for=192.0.2.7"), ("x-forwarded-proto", "https")],
        [("forwarded", "garbage"), ("x-forwarded-for", "192.0.2.7")],
    ],
)
def test_two_families_that_contradict_each_other_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(WireError) as caught:
        apply(*pairs)
    assert (caught.value.status, caught.value.setting) == (400, "forwarded_family")


def test_a_chosen_family_is_the_only_one_and_the_other_is_removed() -> None:
    one = apply(*BOTH, trust=Trust(("10.0.0.1",), family="forwarded"))
    assert (one.endpoints.client, one.endpoints.scheme) == (("6.6.6.6", 0), "https")
    assert [name for name, _ in one.fields] == [b"forwarded"]
    other = apply(*BOTH, trust=Trust(("10.0.0.1",), family="x-forwarded"))
    assert (other.endpoints.client, other.endpoints.scheme) == (("192.0.2.7", 0), "http")
    assert [name for name, _ in other.fields] == [b"x-forwarded-for", b"x-forwarded-proto"]


@pytest.mark.parametrize("family", ["forwarded", "x-forwarded"])
def test_a_chosen_family_that_is_absent_says_nothing(family: str) -> None:
    name, value = ("forwarded", "for=6.6.6.6") if family == "x-forwarded" else ("x-forwarded-for", "6.6.6.6")
    before = ends()
    result = Trust(("10.0.0.1",), family=family).apply(before, fields((name, value)))
    assert result.endpoints is before
    assert result.fields == []


def test_fields_of_the_trusted_are_kept_for_the_application() -> None:
    given = fields(("host", "h"), ("x-forwarded-for", "192.0.2.7"), ("x-real-ip", "192.0.2.7"))
    assert DEFAULT.apply(ends(), given).fields is given


# --- host and prefix

HOST_TRUST = Trust(("10.0.0.0/8",), takes_host=True, takes_prefix=True)


def test_host_and_prefix_are_taken_only_when_asked_for() -> None:
    given = (("host", "inner"), ("x-forwarded-host", "outer"), ("x-forwarded-prefix", "/app"))
    plain = apply(*given)
    assert (plain.fields[0], plain.endpoints.server, plain.prefix) == ((b"host", b"inner"), SERVER, "")
    taken = apply(*given, trust=HOST_TRUST)
    assert (taken.fields[0], taken.endpoints.server, taken.prefix) == ((b"host", b"outer"), ("outer", 80), "/app")


@pytest.mark.parametrize(
    ("pairs", "host", "server"),
    [
        ([("x-forwarded-host", "a.b:8443")], b"a.b:8443", ("a.b", 8443)),
        ([("x-forwarded-host", "a.b"), ("x-forwarded-port", "8443")], b"a.b:8443", ("a.b", 8443)),
        ([("x-forwarded-host", "a.b:1"), ("x-forwarded-port", "8443")], b"a.b:1", ("a.b", 1)),
        ([("x-forwarded-host", "a.b"), ("x-forwarded-port", "99999")], b"a.b", ("a.b", 80)),
        ([("x-forwarded-host", "a.b"), ("x-forwarded-proto", "https")], b"a.b", ("a.b", 443)),
        ([("x-forwarded-host", "[::1]:8443")], b"[::1]:8443", ("::1", 8443)),
        ([("x-forwarded-host", "evil, a.b")], b"a.b", ("a.b", 80)),
        ([("x-forwarded-host", "a/b")], b"inner", SERVER),
        ([("x-forwarded-host", "a b")], b"inner", SERVER),
        ([("x-forwarded-host", "u@h")], b"inner", SERVER),
        ([("x-forwarded-host", "")], b"inner", SERVER),
        ([("x-forwarded-port", "8443")], b"inner", SERVER),
        ([("forwarded", 'for=192.0.2.7;host="a.b:8443"')], b"a.b:8443", ("a.b", 8443)),
    ],
)
def test_the_forwarded_host_replaces_host(pairs: list[tuple[str, str]], host: bytes, server: object) -> None:
    result = apply(("host", "inner"), *pairs, trust=HOST_TRUST)
    assert (dict(result.fields)[b"host"], result.endpoints.server) == (host, server)
    assert len([name for name, _ in result.fields if name == b"host"]) == 1


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/app", "/app"), ("/app/", "/app"), ("/", ""), ("app", ""), ("//evil.org", ""), ("/a//b", ""), ("/a/../b", ""),
        ("/./a", ""), ("/a b", ""), ("/a?b", ""), ("/a, /b", "/b"), (b"/\xff", ""), ("/a%2f", "/a%2f"),
        ("http://x", ""),
    ],
)  # fmt: skip
def test_the_prefix_is_a_path_or_nothing(value: str | bytes, prefix: str) -> None:
    assert apply(("x-forwarded-prefix", value), trust=HOST_TRUST).prefix == prefix


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
                 b"x-forwarded-prefix", b"x-forwarded-ssl", b"x-forwarded-protocol"]
            ),
            st.binary(max_size=60) | st.text('for=proto";,:[]. 0123456789htps\\', max_size=60).map(str.encode),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_no_input_breaks_it(given_fields: Fields) -> None:
    for trust in (DEFAULT, HOST_TRUST, Trust(("*",), family="forwarded"), Trust(())):
        try:
            result = trust.apply(ends(), given_fields)
        except WireError as error:
            assert error.status == 400
            continue
        client = result.endpoints.client
        assert client is not None and type(client[0]) is str and 0 <= client[1] <= 65535
        assert result.endpoints.scheme in ("http", "https")
