"""Kinds of value that only a supervised server has: functions to call at its events, and programs beside its workers.

Reads names, never imports or runs what they name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from torana.config.foreign import HOOKS as FOREIGN_HOOKS
from torana.config.kinds import InnerError, Kind, choice, duration, text
from torana.config.spelling import key_of, nearest
from torana.process.options import HOOK_EVENTS, RESTARTS, ServiceOptions

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_TARGET = re.compile(rf"{_NAME}:{_NAME}")
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", re.ASCII)
_SERVICE_KEYS = ("name", "command", "cwd", "restart", "timeout_stop")


def meeting_place() -> Kind:
    """Where the control socket is: a path, or one of two words."""

    def read(value: Any) -> str:
        path = text().read(value)
        if not path:
            raise ValueError("it is empty")
        return str(path)

    return Kind("socket", "auto, off, or a path", read, "auto|off|FILE")


def hooks() -> Kind:
    """What is called at which event: a table of event = "module:function" (or a list of them), or "EVENT=TARGET"."""

    def read(value: Any) -> tuple[tuple[str, str], ...]:
        found: list[tuple[str, str]] = []
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, str):
                found += [_read_hook_text(piece.strip()) for piece in part.split(",") if piece.strip()]
            elif isinstance(part, dict):
                found += _read_hook_table(part)
            else:
                raise ValueError("")
        return tuple(found)

    def show(pairs: tuple[tuple[str, str], ...]) -> str:
        return ", ".join("=".join(pair) for pair in pairs) or "none"

    accepts = "EVENT=MODULE:FUNCTION, or a table of these"
    return Kind("hooks", accepts, read, "EVENT=TARGET", show=show, splits=",")


def _read_hook_text(text: str) -> tuple[str, str]:
    event, equals, target = text.partition("=")
    if not equals:
        raise ValueError("")
    return _event(event.strip(), event.strip()), _target(event, target.strip())


def _read_hook_table(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, raw in table.items():
        event = _event(key, key_of(key))
        for target in raw if isinstance(raw, list) else [raw]:
            yield event, _target(key, target)


def _event(key: str, event: str) -> str:
    if event in HOOK_EVENTS:
        return event
    advice = FOREIGN_HOOKS.get(event)
    if advice:
        raise InnerError(key, f"there is no hook {key!r} here; {advice}")
    raise InnerError(key, f"there is no hook {key!r}; {_instead(event, HOOK_EVENTS)}")


def _target(key: str, target: Any) -> str:
    if isinstance(target, str) and _TARGET.fullmatch(target):
        return target
    raise InnerError(key, f"{key}: found {target!r}; accepted: a function, named as 'module:function'")


def _instead(typed: str, known: Iterable[str]) -> str:
    close = nearest(typed, known)
    return f"did you mean {close!r}?" if close else f"there are {', '.join(known)}"


def service() -> Kind:
    """One program beside the workers: a table, or "NAME=COMMAND"."""

    def read(value: Any) -> ServiceOptions:
        if isinstance(value, dict):
            return _read_service_table(value)
        if not isinstance(value, str) or "=" not in value:
            raise ValueError("")
        name, _, command = value.partition("=")
        return _read_service_table({"name": name.strip(), "command": command.strip()})

    def show(one: ServiceOptions) -> str:
        return f"{one.name}={one.command if isinstance(one.command, str) else ' '.join(one.command)}"

    return Kind("service", "NAME=COMMAND, or a table with name and command", read, "NAME=COMMAND", show=show)


def _read_service_table(table: dict[str, Any]) -> ServiceOptions:
    said: dict[str, Any] = {}
    for key, raw in table.items():
        if key_of(key) not in _SERVICE_KEYS:
            raise InnerError(key, f"a service has no key {key!r}; {_instead(key_of(key), _SERVICE_KEYS)}")
        said[key_of(key)] = _read_service_value(key, key_of(key), raw)
    for key in ("name", "command"):
        if key not in said:
            raise InnerError("", f"a service needs a {key}")
    if "timeout_stop" in said:
        said["stop_s"] = said.pop("timeout_stop")
    return ServiceOptions(**said)


def _read_service_value(key: str, name: str, raw: Any) -> Any:
    kinds = {"restart": choice(*RESTARTS), "timeout_stop": duration(), "command": _COMMAND, "name": _SERVICE}
    kind = kinds.get(name, _CWD)
    try:
        return kind.read(raw)
    except ValueError as error:
        why = f": {error}" if str(error) else ""
        raise InnerError(key, f"{key}: found {raw!r}{why}; accepted: {kind.accepts}") from None


def _read_command(value: Any) -> tuple[str, ...] | str:
    words = value if isinstance(value, (list, tuple)) else [value]
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0].strip():
        raise ValueError("")
    return value if isinstance(value, str) else tuple(words)


def _read_service_name(value: Any) -> str:
    if not isinstance(value, str) or not _SERVICE_NAME.fullmatch(value):
        raise ValueError("")
    return value


def _read_directory(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("")
    return value


_COMMAND = Kind("command", "a list of words, or one text for the shell", _read_command, "COMMAND")
_SERVICE = Kind("name", "a short name of letters, digits, and . _ @ -", _read_service_name, "NAME")
_CWD = Kind("directory", "the path of a directory", _read_directory, "DIR")
