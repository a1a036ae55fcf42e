"""How one finished request becomes one line: short, combined, JSON, or a format string as gunicorn users know it.

What came from a client is escaped so that no line can be forged and no terminal steered (G-072), and cut so that
no line grows past ``LINE_BYTES``. Never here: files, threads, queues (``access_log.py``).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring_ascii

from torana.base.errors import ConfigError

#: Longest line, without its newline, in characters (all ASCII).
LINE_BYTES = 4096

#: One finished request, as ``AccessLog.record`` queues it: client, method, target, version, status, sent, duration_s,
#: started_s, request_id, wanted values of the request and of the response, bytes to be given back to the queue's bound.
Entry = tuple[
    "str | None", str, bytes, str, int, int, float, float, "str | None", "list[bytes | None]", "list[bytes | None]", int
]
Format = Callable[[Entry], str]

_PLAIN = re.compile(rb"[ !#-\[\]-~]*")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CUT = "..."


def escape(raw: bytes, limit: int = 1024) -> str:
    """Bytes of a client as printable ASCII without bare quotes or backslashes, at most ``limit`` + 3 characters."""
    if _PLAIN.fullmatch(raw):
        return raw.decode("ascii") if len(raw) <= limit else raw[:limit].decode("ascii") + _CUT
    text = _escape(raw[: limit + 1])
    if len(text) <= limit:
        return text
    # An escape is up to four characters long and must not be cut in two.
    return _escape(raw[: limit // 4]) + _CUT


def _escape(raw: bytes) -> str:
    return raw.decode("latin-1").translate(_ESCAPES)


_ESCAPES = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0x100), ord('"'), ord("\\"))
}  # fmt: skip


def quote_json(raw: bytes | None, limit: int = 1024) -> str:
    """Bytes of a client as a JSON string, quotes included, in ASCII; UTF-8 is understood, other bytes become \\xHH."""
    if raw is None:
        return "null"
    if _PLAIN.fullmatch(raw):
        return f'"{raw.decode("ascii")}"' if len(raw) <= limit else f'"{raw[:limit].decode("ascii")}{_CUT}"'
    text = _quote(raw[: limit + 1])
    if len(text) <= limit + 2:
        return text
    text = _quote(raw[: limit // 6])
    return text[: len(text) - 1] + _CUT + '"'


def _quote(raw: bytes) -> str:
    return encode_basestring_ascii(raw.decode("utf-8", "backslashreplace")).replace("\x7f", "\\u007f")


def legal_request_id(value: bytes | None) -> str | None:
    """A client's X-Request-ID if it is short and plain enough to be passed on, else None."""
    if value is None or not _REQUEST_ID.fullmatch(value):
        return None
    return value.decode("ascii")


class _Memory:
    """Remembers what repeats from line to line: the clock's seconds and the clients' favourite strings."""

    # Attributes are typed in access_format.pxd.
    def __init__(self, write: Callable[[bytes], str]) -> None:
        self._write = write
        self._known: dict[bytes, str] = {}
        self._names: dict[str, str] = {}
        self._second = -1
        self._stamp = ""

    def text(self, raw: bytes) -> str:
        found = self._known.get(raw)
        if found is None:
            if len(self._known) >= 256:
                self._known.clear()
            found = self._write(raw)
            if len(raw) <= 512:
                self._known[raw] = found
        return found

    def name(self, text: str) -> str:
        """The same for what is text already: a method, a host."""
        found = self._names.get(text)
        if found is None:
            if len(self._names) >= 256:
                self._names.clear()
            found = self._names[text] = self._write(text.encode("ascii", "replace"))
        return found

    def stamp(self, wall_s: float, write: Callable[[float], str]) -> str:
        second = int(wall_s)
        if second != self._second:
            self._second = second
            self._stamp = write(second)
        return self._stamp


def _clf_time(wall_s: float) -> str:
    """[10/Oct/2000:13:55:36 -0700], with English months whatever the locale."""
    at = time.localtime(wall_s)
    minutes = at.tm_gmtoff // 60
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return (
        f"[{at.tm_mday:02d}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}:{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
        f" {sign}{minutes // 60:02d}{minutes % 60:02d}]"
    )


def _iso_second(wall_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall_s))


def _json_format() -> Format:
    memory = _Memory(quote_json)
    text = memory.text

    def write(entry: Entry) -> str:
        client, method, target, version, status, sent, duration_s, started_s, request_id, asked, _, _ = entry
        agent, referer = asked[1], asked[2]
        return (
            f'{{"time":"{memory.stamp(started_s, _iso_second)}.{int(started_s % 1 * 1000):03d}Z",'
            f'"client":{"null" if client is None else memory.name(client)},'
            f'"method":{memory.name(method)},"target":{text(target)},"version":"HTTP/{version}",'
            f'"status":{status},"bytes":{sent},"duration_ms":{duration_s * 1000:.3f},"request_id":"{request_id}",'
            f'"referer":{"null" if referer is None else text(referer)},'
            f'"user_agent":{"null" if agent is None else text(agent)}}}'
        )

    return write


def _combined_format() -> Format:
    memory = _Memory(escape)
    text = memory.text

    def write(entry: Entry) -> str:
        client, method, target, version, status, sent, _, started_s, _, asked, _, _ = entry
        agent, referer = asked[1], asked[2]
        return (
            f"{'-' if client is None else memory.name(client)} - - "
            f"{memory.stamp(started_s, _clf_time)} "
            f'"{memory.name(method)} {text(target)} HTTP/{version}" {status} {sent} '
            f'"{"-" if referer is None else text(referer)}" "{"-" if agent is None else text(agent)}"'
        )

    return write


_COLOURS = {1: "36", 2: "32", 3: "36", 4: "33", 5: "31"}


def _short_format(has_colours: bool) -> Format:
    memory = _Memory(lambda raw: escape(raw, 200))
    text = memory.text

    def clock(wall_s: float) -> str:
        return time.strftime("%H:%M:%S", time.localtime(wall_s))

    def write(entry: Entry) -> str:
        client, method, target, _, status, sent, duration_s, started_s, _, _, _, _ = entry
        shown = f"{status:3d}"
        at = memory.stamp(started_s, clock)
        verb = f"{memory.name(method):<4}"
        rest = f"{_duration(duration_s)}  {sent} B  {'-' if client is None else memory.name(client)}"
        if has_colours:
            shown = f"\x1b[{_COLOURS.get(status // 100, '0')}m{shown}\x1b[0m"
            at, verb, rest = f"\x1b[2m{at}\x1b[0m", f"\x1b[1m{verb}\x1b[0m", f"\x1b[2m{rest}\x1b[0m"
        return f"{at} {shown} {verb} {text(target)}  {rest}"

    return write


def _duration(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds * 1000:.2f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s"


# --- format strings

_ATOM = re.compile(r"%(?:%|\((?P<name>\{[^{}()]{1,64}\}[io]|[A-Za-z_]{1,16})\)s)")
_ALIASES = {"client_addr": "h", "request_line": "r", "status_code": "s", "method": "m"}


def _atoms() -> dict[str, Callable[[Entry], str]]:
    memory = _Memory(escape)
    text = memory.text

    def line(e: Entry) -> str:
        return f"{memory.name(e[1])} {text(e[2])} HTTP/{e[3]}"

    return {
        "h": lambda e: "-" if e[0] is None else memory.name(e[0]),
        "l": lambda e: "-",
        "u": lambda e: "-",
        "t": lambda e: memory.stamp(e[7], _clf_time),
        "r": line,
        "m": lambda e: memory.name(e[1]),
        "U": lambda e: text(e[2].partition(b"?")[0]),
        "q": lambda e: text(e[2].partition(b"?")[2]),
        "H": lambda e: "HTTP/" + e[3],
        "s": lambda e: str(e[4]),
        "B": lambda e: str(e[5]),
        "b": lambda e: str(e[5]) if e[5] else "-",
        "f": lambda e: "-" if e[9][2] is None else text(e[9][2]),
        "a": lambda e: "-" if e[9][1] is None else text(e[9][1]),
        "T": lambda e: str(int(e[6])),
        "M": lambda e: str(int(e[6] * 1000)),
        "D": lambda e: str(int(e[6] * 1_000_000)),
        "L": lambda e: f"{e[6]:.6f}",
        "p": lambda e: f"<{os.getpid()}>",
        "id": lambda e: str(e[8]),
        "full_path": lambda e: text(e[2]),
        "http_version": lambda e: e[3],
    }


def _text_getter(column: int, index: int) -> Callable[[Entry], str]:
    def get(entry: Entry) -> str:
        raw: bytes | None = entry[column][index]  # type: ignore[index,assignment]
        return "-" if raw is None else escape(raw)

    return get


class AccessFormat:
    """A format made ready: how a line is written, and which fields of request and response it wants to see.

    ``request_names`` always begins with X-Request-ID, User-Agent, Referer; a name's place is its place in the entry.
    """

    def __init__(self, text: str, *, is_terminal: bool = False) -> None:
        self.request_names: list[bytes] = [b"x-request-id", b"user-agent", b"referer"]
        self.response_names: list[bytes] = []
        if text == "auto":
            text = "colour" if is_terminal else "json"
        if text == "json":
            self.write: Format = _json_format()
        elif text == "combined":
            self.write = _combined_format()
        elif text in ("short", "colour"):
            self.write = _short_format(text == "colour")
        else:
            self.write = self._from_string(text)

    def _from_string(self, text: str) -> Format:
        if not _ATOM.search(text.replace("%%", "")) or not text.isprintable():
            raise ConfigError(
                f"access_log_format {text!r}: expected auto, short, combined, json or a string with %(...)s in it"
            )
        known = _atoms()
        literals, getters = [], []
        for literal, name in _pieces(text):
            literals.append(literal)
            if name.startswith("{"):
                getters.append(self._field_getter(name))
            elif name:
                getter = known.get(_ALIASES.get(name, name))
                if getter is None:
                    raise ConfigError(f"access_log_format: %({name})s is not known; known: {', '.join(sorted(known))}")
                getters.append(getter)
        literals.append("")

        def write(entry: Entry) -> str:
            parts = [literals[0]]
            for place, getter in enumerate(getters, 1):
                parts.append(getter(entry))
                parts.append(literals[place])
            return "".join(parts)

        return write

    def _field_getter(self, atom: str) -> Callable[[Entry], str]:
        """For {name}i, a request field, or {name}o, one of the response."""
        name, _, side = atom.rpartition("}")
        wanted = name[1:].strip().lower().encode("utf-8", "replace")
        names, column = (self.request_names, 9) if side == "i" else (self.response_names, 10)
        if wanted not in names:
            names.append(wanted)
        return _text_getter(column, names.index(wanted))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(literal text, name of the atom after it); the last name is ""."""
    literal, end = "", 0
    for match in _ATOM.finditer(text):
        between = text[end : match.start()]
        if "%" in between:
            break
        literal += between
        end = match.end()
        if match["name"] is None:
            literal += "%"
            continue
        yield literal, match["name"]
        literal = ""
    if "%" in text[end:]:
        at = text.index("%", end)
        raise ConfigError(f"access_log_format: {text[at : at + 12]!r} is not understood; fields look like %(h)s")
    yield literal + text[end:], ""
