"""Log lines made by clients: what they may hold, how long they are, how many there are (threat G-072)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.threats.stage import Stage, staged

#: Longest line of the access log, and what every one of its bytes must be.
_LINE_BYTES = 4096
_PRINTABLE = re.compile(rb"[ -~]*")
_QUOTED = r'"(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*"'
_GRAMMAR = {
    "combined": re.compile(
        r"[0-9a-f.:]+ - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        rf"{_QUOTED} \d{{3}} \d+ {_QUOTED} {_QUOTED}"
    ),
    '%(h)s %(r)s %(s)s "%({x-hostile}i)s"': re.compile(
        rf"[0-9a-f.:]+ [A-Z]+ (?:[ !#-\[\]-~]|\\x[0-9a-f]{{2}})+ HTTP/1\.1 \d{{3}} {_QUOTED}"
    ),
}
_HOSTILE = {
    "escape sequences for a terminal": b"\x1b]0;x\x07\x1b[2J",
    "a quote and what a line has behind it": b'a" 200 "-',
    "a backslash at the end": b"a\\",
    "every byte that a field may hold": bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)),
    "U+2028 and U+0085": "\u2028\u0085".encode(),
    "half a character of UTF-8": b"\xe2\x80",
    "12 KiB": b"a" * 12_000,
    "12 KiB that all have to be escaped": b"\xff" * 12_000,
}
_VERDICT = "one line of the format's grammar, of printable ASCII, no longer than 4 KiB"
_SECRET = "c2VjcmV0LXdvcmQ"


@pytest.fixture(scope="module", params=["json", *_GRAMMAR])
def logged_stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("logged"), "asgi_site", "--access-log-format", request.param) as stage:
        stage.form = request.param  # type: ignore[attr-defined]
        yield stage


def _lines(stage: Stage, path: str) -> list[bytes]:
    """Those about requests to ``path``, once there are any."""
    file = stage.notes.parent / "access.log"
    until = time.monotonic() + 10
    while True:
        found = [line for line in file.read_bytes().split(b"\n") if path.encode() in line]
        if found or time.monotonic() > until:
            return found
        time.sleep(0.02)


def _read(form: str, line: bytes) -> None:
    """Raise unless the line is what its format says."""
    assert len(line) <= _LINE_BYTES
    assert _PRINTABLE.fullmatch(line)
    if form == "json":
        found = json.loads(line)
        assert found["version"] == "HTTP/1.1"
    elif not line.endswith(b"..."):
        assert _GRAMMAR[form].fullmatch(line.decode()), line


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(
            value, id=name, marks=pytest.mark.threat("G-072", sent=f"{name}, in fields and query", verdict=_VERDICT)
        )
        for name, value in _HOSTILE.items()
    ],
)  # fmt: skip
def test_a_line_is_what_its_format_says(logged_stage: Stage, value: bytes) -> None:
    number = f"/line{abs(hash(value))}"
    target = (
        number
        + "?"
        + "".join(chr(byte) if 0x21 <= byte < 0x7F and byte != 0x23 else f"%{byte:02x}" for byte in value)[:7000]
    )
    # A control byte within a field would be refused, and leaves no line here.
    value = bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F)
    with logged_stage.connect() as connection:
        connection.send(
            b"GET %b HTTP/1.1\r\nHost: t\r\nUser-Agent: %b\r\nReferer: %b\r\nX-Hostile: %b\r\n\r\n"
            % (target.encode(), value, value[:8000], value[:8000])
        )
        assert connection.read().status == 200
    (line,) = _lines(logged_stage, number)
    _read(logged_stage.form, line)  # type: ignore[attr-defined]


@pytest.mark.threat(
    "G-072",
    sent="/%1b%5b31m, /%22%0a, /%e2%80%a8",
    verdict="the target stands in the log as it came, not decoded",
)
def test_targets_are_not_decoded(logged_stage: Stage) -> None:
    for target in ("/%1b%5b31m", "/%22%0aGET", "/%e2%80%a8"):
        assert logged_stage.ask(target).status == 200
        assert _lines(logged_stage, target)


@pytest.mark.threat(
    "G-072",
    sent="Authorization, Cookie, Proxy-Authorization, Set-Cookie with something secret",
    verdict="nothing of it in any log",
)
def test_secrets_are_not_logged(logged_stage: Stage) -> None:
    fields = [f"{name}: {_SECRET}" for name in ("Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key")]
    assert logged_stage.ask("/secrets", "GET", *fields).status == 200
    # Refused after they were read.
    assert logged_stage.ask("/secrets", "GET", *fields, "Content-Length: x").status == 400
    assert _lines(logged_stage, "/secrets")
    assert _SECRET not in (logged_stage.notes.parent / "access.log").read_text()
    assert _SECRET not in logged_stage.server.log


_FEW = "one line a second, which counts the others"
_BAD = {
    "no colon": b"GET / HTTP/1.1\r\nHost: t\r\nno colon \x1b[31m\r\n\r\n",
    "no request": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "a line that is too long": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(
            bad, id=name, marks=pytest.mark.threat("G-072", sent=f"150 bad requests in a row: {name}", verdict=_FEW)
        )
        for name, bad in _BAD.items()
    ],
)  # fmt: skip
def test_bad_requests_make_few_lines(tmp_path: Path, bad: bytes) -> None:
    with staged(tmp_path, "asgi_site") as stage:
        mark, began = stage.server.mark(), time.monotonic()
        for _ in range(150):
            with stage.connect() as connection:
                connection.send(bad)
                assert 400 <= connection.read().status < 500
        most = 2 + time.monotonic() - began
        stage.server.wait_for_log("refused", since=mark)
        lines = [line for line in stage.server.log_since(mark).splitlines() if "refused" in line]
        assert 1 <= len(lines) <= most
        for line in lines:
            assert re.fullmatch(r"[\d :,-]+\[\d+\] WARNING refused 127\.0\.0\.1: [ -~]+", line), line
        assert sum(map(len, lines)) <= 2 * 150 * len(bad)
