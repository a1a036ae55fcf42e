"""What operators write: values of settings, env files, addresses, TOML tables. ``config``, ``net/address``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fuzz.target import Target, Verdict
from torana.base.errors import ConfigError
from torana.config import kinds
from torana.config.affinity_kind import affinity
from torana.config.files import _env_value, _lines_of_keys
from torana.net.address import parse_address

_KINDS = (
    kinds.text(),
    kinds.words(),
    kinds.path(),
    kinds.integer(1, 4096),
    kinds.integer_or("auto", 0, 1, 4096),
    kinds.duration(),
    kinds.duration(1.0),
    kinds.size(),
    kinds.size(1024),
    kinds.switch(),
    kinds.choice("a", "b"),
    kinds.octal(),
    kinds.many(kinds.size()),
    kinds.many(kinds.integer()),
    affinity(),
)


def _tried(read: Callable[[], Any]) -> Verdict:
    try:
        return repr(read())
    except (ValueError, ConfigError) as error:
        return type(error).__name__, str(error)


def _run(data: bytes) -> Verdict:
    """One value a line."""
    text = data.decode("utf-8", "surrogateescape")
    found: list[Verdict] = [sorted(_lines_of_keys(text, wanted).items()) for wanted in ("", "tool.torana")]
    for line in text.split("\n")[:20]:
        for kind in _KINDS:
            try:
                value = kind.read(line)
            except (ValueError, ConfigError) as error:
                found.append(str(error))
                continue
            shown = kind.show(value)
            found.append((repr(value), shown))
        found.append(_tried(lambda line=line: parse_address(line)))  # type: ignore[misc]
        found.append(_tried(lambda line=line: _env_value(line, "here")))  # type: ignore[misc]
    return found


SETTINGS = Target(
    "settings",
    _run,
    (
        (b"64k", b"\n", b"1.5GiB", b"\n", b"100", b"\n", b"2m", b"\n", b"0.5", b"\n", b"1h"),
        (b"auto", b"\n", b"0o22", b"\n", b"true", b"\n", b"off", b"\n", b"a", b"\n", b"python -m x 'y z'"),
        (
            b"127.0.0.1:80",
            b"\n",
            b"[::1]:0",
            b"\n",
            b"unix:/run/x",
            b"\n",
            b"unix://run",
            b"\n",
            b"fd:3",
            b"\n",
            b"systemd:a",
        ),
        (
            b"[tool.torana]\n",
            b"workers = 1\n",
            b"[[tool.torana.service]]\n",
            b"command = 'x'\n",
            b"[other]\n",
            b"a.b = 1\n",
        ),
        (b'"a\\n\\"b" # c', b"\n", b"'a' # b", b"\n", b"a # b", b"\n", b'"open'),
        (b"cookie, header:x-a, query:sid", b"\n", b"client", b"\n", b"10,20k, 5", b"\n", b"9" * 400 + b"g"),
    ),
    (
        b"\n",
        b"k",
        b"MiB",
        b"1e400",
        b"inf",
        b"nan",
        b"-1",
        b"_",
        b".",
        b",",
        b"'",
        b'"',
        b"\\",
        b"#",
        b"unix:",
        b"fd:",
        b"[",
        b"]",
        b"header:",
        b"\xc2\xb2",
        b"\xd9\xa3",
    ),
    share=150,
)
