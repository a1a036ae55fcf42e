"""Lines of the access log: a format string, and what clients put into the request that it shows. ``serve``."""

from __future__ import annotations

from tests.fuzz.target import Target, Verdict
from torana.base.errors import ConfigError
from torana.serve.access_format import AccessFormat, Entry, legal_request_id, quote_json

_NAMED = ("json", "combined", "short")


def _line(text: str, parts: list[bytes]) -> Verdict:
    try:
        ready = AccessFormat(text)
    except ConfigError:
        return "not a format"
    asked = [parts[at % len(parts)] or None for at in range(len(ready.request_names))]
    told = [parts[at % len(parts)] or None for at in range(len(ready.response_names))]
    target, method = parts[0], parts[-1].decode("ascii", "ignore")
    entry: Entry = ("192.0.2.1", method, target, "1.1", 200, 5, 0.25, 86_400.0, "id-1", asked, told, 0)
    line = ready.write(entry)
    rest = "".join(char for char in text if ord(char) > 0x7E)  # The deployer's own letters.
    assert all(" " <= char <= "~" or char in rest for char in line), "a client wrote a control byte into the log"
    return line if "%(p)s" not in text else len(line)


def _run(data: bytes) -> Verdict:
    """The first line is the format, the others are values of the request."""
    first, _, rest = data.partition(b"\n")
    parts = rest.split(b"\x1f")
    lines = [_line(text, parts) for text in (*_NAMED, first.decode("utf-8", "replace"))]
    return lines, [quote_json(part) for part in parts], [legal_request_id(part) for part in parts]


LINE = Target(
    "access-log",
    _run,
    (
        (b'%(h)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"', b"\n", b"/a?b=c", b"\x1f", b"curl/8", b"\x1f", b"GET"),
        (b"%(client_addr)s %({x-id}i)s %({server}o)s %%", b"\n", b"/", b"\x1f", b"v\xc3\xa9", b"\x1f", b'a"b\\c'),
        (b"%(U)s %(q)s %(D)s %(L)s %(full_path)s", b"\n", b"/\xff?\x00", b"\x1f", b"\x1b[31m", b"\x1f"),
        (b"%(nothing)s", b"\n"),
        (b"%(h)s %d", b"\n", b"\r\n", b"\x1f", b"x" * 2000),
        (b"plain", b"\n", b"\xf0\x9f\x98\x80" * 300, b"\x1f", b'"' * 1100),
    ),
    (b"%(", b")s", b"%%", b"%", b"{", b"}i", b"}o", b"\x1f", b"\n", b"\x1b", b"\x7f", b"\xe2\x80\xa8", b"\\", b'"'),
)
