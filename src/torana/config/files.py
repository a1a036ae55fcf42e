"""Reading of configuration files: ``torana.toml``, ``[tool.torana]`` of a ``pyproject.toml``, and ``.env`` files.

Each value comes with its line, so that a complaint can name it. Checking of values is ``check``.
"""

from __future__ import annotations

import os
import re
from typing import Any

from torana.base.errors import ConfigError
from torana.config.origin import Origin, Rank, Said
from torana.config.settings import BY_NAME, key_of, nearest

OWN_FILE = "torana.toml"
PROJECT_FILE = "pyproject.toml"
#: A settings file is a page of text; more is a mistake (a log, a device) and is not read into memory.
_LARGEST_BYTES = 1024 * 1024

_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*?)\s*", re.ASCII)
#: A table's header, and what comes before the equals sign of a line.
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]*?)\s*\]")
_KEY = re.compile(r"""\s*((?:["']?[A-Za-z0-9_-]+["']?\s*\.\s*)*["']?[A-Za-z0-9_-]+["']?)\s*=""")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def find_file(directory: str) -> str | None:
    """The configuration file of a directory: ``torana.toml``, or a ``pyproject.toml`` that speaks of Torana."""
    own = os.path.join(directory, OWN_FILE)
    if os.path.isfile(own):
        return own
    project = os.path.join(directory, PROJECT_FILE)
    # Most projects have the file and few have the table: the text is looked at before the TOML parser is imported.
    return project if os.path.isfile(project) and "tool.torana" in _read(project) else None


def read_file(path: str) -> list[Said]:
    """What a configuration file says, in its order; unknown keys are refused with the nearest right name."""
    if path.endswith(".py"):
        raise ConfigError(f"{path}: configuration is TOML here, not Python; write the same names into {OWN_FILE}")
    source = _read(path)
    table, header = _own_table(path, source)
    lines = _lines_of_keys(source, header)
    directory = os.path.dirname(os.path.abspath(path))
    said = []
    for key, raw in table.items():
        place = f"{_short(path)}, line {lines[key]}" if key in lines else _short(path)
        name = key_of(key)
        if name not in BY_NAME or name == "config":
            raise ConfigError(f"{place}: there is no setting {key!r}{_hint(name)}")
        if name == "app" and isinstance(raw, (list, dict)):
            name = "mount"
        inner = {
            path_of.removeprefix(key + "."): f"{_short(path)}, line {line}"
            for path_of, line in lines.items()
            if path_of.startswith(key + ".")
        }
        said.append(Said(name, raw, Origin(Rank.FILE, place, directory, inner)))
    return said


def _hint(name: str) -> str:
    close = nearest(name)
    return f"; did you mean {close!r}?" if close else "; torana explain lists all settings"


def _own_table(path: str, source: str) -> tuple[dict[str, Any], str]:
    """The table that is ours, and its header ("" for the whole file)."""
    import tomllib

    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{_short(path)}: not valid TOML: {error}") from None
    if os.path.basename(path) != PROJECT_FILE:
        return document, ""
    table = document.get("tool", {}).get("torana", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{_short(path)}: [tool.torana] must be a table")
    return table, "tool.torana"


def _lines_of_keys(source: str, wanted: str) -> dict[str, int]:
    """The line of each key of a table, "hooks.on_exit" and "service.0.command" for those of the tables within.

    TOML's parser keeps none, so this looks for them; a missed one is no harm.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    #: The table that is open, as seen from ours; None while it is somebody else's.
    table: str | None = "" if not wanted else None
    for number, line in enumerate(source.splitlines(), 1):
        opened = _HEADER.match(line)
        if opened:
            table = _seen_from(wanted, _bare(opened[2]))
            if table:
                lines.setdefault(table, number)
                if opened[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = f"{table}.{counts[table]}"
                    lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key and table is not None:
            path = f"{table}.{_bare(key[1])}".lstrip(".")
            lines.setdefault(path, number)
            lines.setdefault(path.partition(".")[0], number)
    return lines


def _bare(name: str) -> str:
    """A dotted key without quotes and blanks."""
    return name.replace('"', "").replace("'", "").replace(" ", "")


def _seen_from(wanted: str, header: str) -> str | None:
    """The name of a table within ours: "" for ours itself, None for one that is not within."""
    if not wanted:
        return header
    if header == wanted:
        return ""
    return header.removeprefix(wanted + ".") if header.startswith(wanted + ".") else None


def read_env_file(path: str) -> dict[str, tuple[str, str]]:
    """The variables of an env file, each with its place: name -> (value, "FILE, line N")."""
    variables: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        place = f"{_short(path)}, line {number}"
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ENV_LINE.fullmatch(line)
        if found is None:
            raise ConfigError(f"{place}: expected KEY=VALUE, found {line.strip()!r}")
        variables[found[1]] = (_env_value(found[2], place), place)
    return variables


def _env_value(text: str, place: str) -> str:
    """The value of a line: quotes go, escapes count within double ones; without quotes a comment ends it."""
    if "\0" in text:
        raise ConfigError(f"{place}: a value cannot hold NUL")
    quote = text[:1]
    if quote not in ("'", '"'):
        return re.split(r"(?:^|\s+)#", text, maxsplit=1)[0]
    quoted = re.fullmatch(r"'([^']*)'\s*(?:#.*)?" if quote == "'" else r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?', text)
    if quoted is None:
        raise ConfigError(f"{place}: the closing quote is missing")
    if quote == "'":
        return quoted[1]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), quoted[1])


def _read(path: str) -> str:
    """The text of a small file."""
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{_short(path)}: cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{_short(path)}: larger than {_LARGEST_BYTES} bytes; that is no settings file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{_short(path)}: not UTF-8 text (byte {error.start})") from None


def _short(path: str) -> str:
    """A path as a person would say it: relative if it lies below the current directory."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
