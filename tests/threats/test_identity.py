"""Who the client is, and what a field is called (G-073 to G-075): what strangers write is never believed.

Two sites, of both kinds: one believes the loopback and unix sockets, the other nobody; each listens on both.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import Connection
from tests.threats.stage import Stage, staged

#: Fields of a request; whom a trusted hop with them speaks for (None: itself), and by which scheme; 400: refused.
Spoof = tuple[list[str], str | None, str]
PEER = (None, "http")
REFUSED = ("400", "")
SPOOFS: list[Spoof] = [
    (["X-Forwarded-For: 1.2.3.4"], "1.2.3.4", "http"),
    (["X-Forwarded-For: 10.0.0.1, 192.168.0.1, 1.2.3.4"], "1.2.3.4", "http"),
    (["X-Forwarded-For: 1.2.3.4, 192.168.0.1"], "192.168.0.1", "http"),
    (["X-Forwarded-For: 6.6.6.6, 1.2.3.4, 127.0.0.1, ::1"], "1.2.3.4", "http"),
    (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 1.2.3.4"], "1.2.3.4", "http"),
    (["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 127.0.0.1"], "1.2.3.4", "http"),
    (["X-Forwarded-For: [2001:db8::1]:443"], "2001:db8::1", "http"),
    (["X-Forwarded-For: 2001:db8::1"], "2001:db8::1", "http"),
    (["X-Forwarded-For: ::ffff:1.2.3.4"], "1.2.3.4", "http"),
    (["X-Forwarded-For: 6.6.6.6, ::ffff:127.0.0.1, 127.0.0.1"], "6.6.6.6", "http"),
    (["X-Forwarded-For: 6.6.6.6, fe80::1%eth0"], *PEER),
    (["X-Forwarded-For: 6.6.6.6, unknown"], *PEER),
    (["X-Forwarded-For: 6.6.6.6, 1.2.3.4:99999"], *PEER),
    (["X-Forwarded-For: 6.6.6.6, 01.2.3.4"], *PEER),
    (["X-Forwarded-For: 6.6.6.6, 1.2.3.4 5.6.7.8"], *PEER),
    (["X-Forwarded-For: 6.6.6.6,"], *PEER),
    (["X-Forwarded-For:"], *PEER),
    (["X-Forwarded-For: \xff\xfe"], *PEER),
    (["X-Forwarded-For: " + "1.2.3.4, " * 31 + "5.6.7.8"], "5.6.7.8", "http"),
    (["X-Forwarded-For: " + "1.2.3.4, " * 32 + "5.6.7.8"], *REFUSED),
    (["X-Forwarded-For: " + "1," * 1200], *REFUSED),
    (["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"], "1.2.3.4", "https"),
    (["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: gopher"], "1.2.3.4", "http"),
    (["X-Forwarded-Proto: https"], None, "https"),
    (["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https, http"], *REFUSED),
    (["X-Forwarded-For: 6.6.6.6, 1.2.3.4", "X-Forwarded-Proto: https, http"], "1.2.3.4", "http"),
    (["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"], *REFUSED),
    (["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1"], "1.2.3.4", "http"),
    (["X-Forwarded-Prefix: /evil", "Script-Name: /evil", "X-Script-Name: /evil"], *PEER),
    (["X-Real-IP: 1.2.3.4", "X-Client-IP: 1.2.3.4", "True-Client-IP: 1.2.3.4"], *PEER),
    (["Forwarded: for=1.2.3.4;proto=https"], "1.2.3.4", "https"),
    (['Forwarded: for="[2001:db8::1]:443", for=127.0.0.1'], "2001:db8::1", "http"),
    (['Forwarded: for="[::1]"'], "::1", "http"),
    (["Forwarded: for=6.6.6.6, for=_hidden"], *PEER),
    (["Forwarded: for=1.2.3.4", "X-Forwarded-For: 5.6.7.8"], *REFUSED),
    (["Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4"], "1.2.3.4", "http"),
    (["SSL-Client-Cert: x", "SSL-Client-Verify: SUCCESS", "X-SSL-Client-DN: admin", "Client-Cert: x"], *PEER),
]
#: No application is shown any of these by a stranger.
FORWARDING = ("forwarded", "x-forwarded", "x-real", "x-client", "true-client", "ssl-client", "x-ssl", "client-cert")


@dataclass
class Listening:
    """A site and the path of its unix socket."""

    stage: Stage
    path: str


@contextlib.contextmanager
def _listening(place: Path, site: str, *flags: str) -> Iterator[Listening]:
    path = place / "s"
    with staged(place, site, "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", *flags) as stage:
        yield Listening(stage, str(path))


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def believing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """As it is by default: the loopback and unix sockets."""
    with _listening(tmp_path_factory.mktemp("yes"), f"{request.param}_site") as found:
        yield found


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def unbelieving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with _listening(
        tmp_path_factory.mktemp("no"), f"{request.param}_site", "--forwarded-allow-ips", "10.0.0.1"
    ) as found:
        yield found


def _call(listening: Listening, by: str, fields: list[str]) -> tuple[int, dict[str, Any]]:
    """The status, and what the application saw."""
    listening.stage.events()
    with Connection(listening.stage.address if by == "tcp" else listening.path) as connection:
        answer = connection.ask("GET", "/who", "Connection: close", *fields)
    calls = listening.stage.calls()
    assert len(calls) == (answer.status == 200)
    return answer.status, calls[0] if calls else {}


def _who(call: dict[str, Any]) -> tuple[str | None, str]:
    """Client and scheme; None for a unix socket without anybody behind it."""
    if "environ" in call:
        return call["environ"]["REMOTE_ADDR"] or None, call["environ"]["wsgi.url_scheme"]
    return call["client"][0] if call["client"] and call["client"][0] else None, call["scheme"]


def _named(spoofs: list[Spoof]) -> list[Any]:
    found = []
    for fields, client, scheme in spoofs:
        shown = [field if len(field) < 80 else f"{field[:60]} ... {len(field)} bytes" for field in fields]
        sent = "; ".join(f"`{field}`" if field.isascii() else ascii(field)[1:-1] for field in shown)
        if client == "400":
            verdict = "from a trusted hop 400; from others ignored and removed"
        else:
            verdict = f"from a trusted hop {client or 'the hop itself'}, {scheme}; from others ignored and removed"
        mark = pytest.mark.threat("G-073", sent=sent, verdict=verdict)
        found.append(pytest.param(fields, client, scheme, id=sent.replace("`", "")[:50], marks=mark))
    return found


@pytest.mark.parametrize(("fields", "client", "scheme"), _named(SPOOFS))
def test_trusted_hop(fields: list[str], client: str | None, scheme: str, believing: Listening) -> None:
    for by in ("tcp", "unix"):
        status, call = _call(believing, by, fields)
        if client == "400":
            assert status == 400
            continue
        assert _who(call) == (client or ("127.0.0.1" if by == "tcp" else None), scheme)
        _check_place(call)


@pytest.mark.parametrize(("fields", "client", "scheme"), _named(SPOOFS))
def test_stranger(fields: list[str], client: str | None, scheme: str, unbelieving: Listening) -> None:
    for by in ("tcp", "unix"):
        status, call = _call(unbelieving, by, fields)
        assert status == 200 and _who(call) == ("127.0.0.1" if by == "tcp" else None, "http")
        _check_place(call)
        if "environ" in call:
            names = [key[5:].lower().replace("_", "-") for key in call["environ"] if key.startswith("HTTP_")]
        else:
            names = [name for name, _ in call["headers"]]
        assert not [name for name in names if name.startswith(FORWARDING)]


def _check_place(call: dict[str, Any]) -> None:
    """Host and prefix are nobody's to move (unless forwarding them is turned on, which no setting does by default)."""
    if "environ" in call:
        assert (call["environ"]["HTTP_HOST"], call["environ"]["SCRIPT_NAME"]) == ("test.example", "")
    else:
        assert ["host", "test.example"] in call["headers"] and call["path"] == "/who"


@pytest.mark.threat("G-073", sent="1.2.3.4 from a trusted hop", verdict="the access log has 1.2.3.4")
def test_access_log_names_who_is_believed(believing: Listening) -> None:
    assert '"1.2.3.4"' in _logged(believing, "/logged-here")


@pytest.mark.threat(
    "G-073", sent="1.2.3.4 from an untrusted hop", verdict="the access log has the hop; one line a minute tells of it"
)
def test_access_log_names_the_stranger(unbelieving: Listening) -> None:
    _logged(unbelieving, "/logged-before-it")
    line = _logged(unbelieving, "/logged-there")
    assert '"127.0.0.1"' in line and "1.2.3.4" not in line
    unbelieving.stage.server.wait_for_log("untrusted peer 127.0.0.1")
    lines = [line for line in unbelieving.stage.server.log.splitlines() if "untrusted peer 127.0.0.1" in line]
    told = [datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f") for line in lines]
    assert all((later - earlier).total_seconds() > 59 for earlier, later in pairwise(told))


def _logged(listening: Listening, target: str) -> str:
    """The line of a request for ``target``, of the log, which is written a moment later."""
    with Connection(listening.stage.address) as connection:
        connection.ask("GET", target, "X-Forwarded-For: 1.2.3.4", "Connection: close")
    log = listening.stage.notes.with_name("access.log")
    for _ in range(1000):
        if found := [line for line in log.read_text().splitlines() if target in line]:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no {target} in {log}")


# Names

NAMES = [
    *("X_Forwarded_For: 1.2.3.4", "X-Forwarded_For: 1.2.3.4", "Remote_User: admin", "Remote.User: admin"),
    *("Content_Length: 5", "Transfer_Encoding: chunked", "HTTP_HOST: evil", "Proxy: http://evil", "X.Forwarded.For: 1"),
    *("Script_Name: /evil", "Wsgi_Input: x", "_: x", "__proto__: x", ".: x"),
]


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(name, marks=pytest.mark.threat("G-075", sent=f"`{name}`", verdict="never reaches the application"))
        for name in NAMES
    ],
)
def test_conflated_name(field: str, stage: Stage) -> None:
    stage.events()
    good = field.partition(":")[0].replace("_", "-").replace(".", "-")
    assert stage.ask("/", "GET", "X-User: one", "X_User: two", "x.user: three", field).status == 200
    [call] = stage.calls()
    if "environ" in call:
        assert call["environ"]["HTTP_X_USER"] == "one"
        ours = {key for key in call["environ"] if key.startswith("HTTP_")}
        assert ours == {"HTTP_HOST", "HTTP_X_USER"}
        assert (call["environ"].get("CONTENT_LENGTH", ""), call["environ"]["SCRIPT_NAME"]) == ("", "")
    else:
        assert [name for name, _ in call["headers"]] == ["host", "connection", "x-user"], good


@pytest.mark.threat("G-075", sent="X-User in three cases, twice each", verdict="one variable, all values in order")
def test_names_in_every_case_are_one(stage: Stage) -> None:
    stage.events()
    fields = [f"{name}: {number}" for number, name in enumerate(("X-User", "x-user", "X-USER") * 2)]
    assert stage.ask("/", "GET", *fields).status == 200
    [call] = stage.calls()
    if "environ" in call:
        assert call["environ"]["HTTP_X_USER"] == "0,1,2,3,4,5"
    else:
        assert [value for name, value in call["headers"] if name == "x-user"] == list("012345")
