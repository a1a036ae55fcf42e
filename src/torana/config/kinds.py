"""What a setting's value may be: one ``Kind`` turns what a flag, a variable or a file says into a value, or refuses it.

A kind knows nothing of where a value came from; ``check`` puts a name and a place to its refusals. It never touches
files, sockets or the environment.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Struct

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|)", re.ASCII)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(b|bytes?|[kmg]i?b?|)", re.ASCII | re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
#: More than ten years is a slip of the pen, and would overflow some clocks.
_LONGEST_S = 10 * 366 * 86400.0


class InnerError(ValueError):
    """Something is wrong at one key of a table: ``key`` leads there ("on_exit", "0.command"), the text says what."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


class Kind(Struct, frozen=True):
    """How one sort of value is read and shown.

    ``read`` takes a text or a value of a TOML file and returns the checked value, or raises ``ValueError`` with what
    was wrong (empty when ``accepts`` says it all). ``accepts`` ends the sentence "accepted: ...".
    ``splits``: the separator of several values in one text (environment), None for settings with one value.
    """

    name: str
    accepts: str
    read: Callable[[Any], Any]
    metavar: str
    show: Callable[[Any], str] = str
    splits: str | None = None

    @property
    def is_many(self) -> bool:
        """Whether the setting may be given several times."""
        return self.splits is not None


def _convert(value: Any, kind: Any) -> Any:
    """``msgspec.convert`` that reads numbers from text, but takes no switch for a number."""
    if isinstance(value, bool):
        raise ValueError("")
    try:
        return msgspec.convert(value.strip() if isinstance(value, str) else value, kind, strict=False)
    except msgspec.ValidationError:
        raise ValueError("") from None


def text() -> Kind:
    """Any text without control characters."""
    return Kind("text", "a text", _read_text, "TEXT", show=lambda value: value if value else '""')


def words() -> Kind:
    """The words of a command line: a list of them as they are, or one text that is cut as a shell would."""

    def read(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = shlex.split(_read_text(value))
        if not isinstance(value, (list, tuple)):
            raise ValueError("")
        return tuple(_read_text(word) for word in value)

    accepts = "the words of a command line: one text that is cut as a shell would, or a list of words"
    return Kind("words", accepts, read, "WORD", show=lambda value: shlex.join(value) if value else "none", splits=" ")


def path(metavar: str = "FILE") -> Kind:
    """A path, relative to the current directory, or to the file that names it."""
    return Kind("path", "a path", _read_filled_text, metavar)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("")
    if "\0" in value or "\n" in value or "\r" in value:
        raise ValueError("it holds a line end or a NUL")
    return value


def _read_filled_text(value: Any) -> str:
    if not _read_text(value):
        raise ValueError("it is empty")
    return str(value)


def integer(least: int = 0, most: int = 2**31 - 1) -> Kind:
    """A whole number within bounds."""
    bounded = Annotated[int, msgspec.Meta(ge=least, le=most)]
    upper = "" if most == 2**31 - 1 else f" to {most}"
    return Kind("integer", f"a whole number from {least}{upper}", lambda value: _convert(value, bounded), "N")


def integer_or(word: str, stands_for: int, least: int, most: int) -> Kind:
    """A whole number, or one word that stands for a number (such as "auto")."""
    number = integer(least, most)

    def read(value: Any) -> int:
        return stands_for if value == word else int(number.read(value))

    def show(value: int) -> str:
        return word if value == stands_for else str(value)

    return Kind("integer", f"{number.accepts}, or {word}", read, f"N|{word}", show=show)


def duration(least: float = 0.0) -> Kind:
    """A time in seconds, or with a unit."""
    zero = "; 0 turns it off" if least == 0 else ""

    def read(value: Any) -> float:
        seconds = _read_seconds(value)
        if not least <= seconds <= _LONGEST_S:
            raise ValueError(f"it is less than {least:g} s" if seconds < least else "it is longer than ten years")
        return seconds

    return Kind("duration", f"a time such as 5, 0.5, 30s, 2m or 1h{zero}", read, "TIME", show=show_duration)


def _read_seconds(value: Any) -> float:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            raise ValueError("")
        return float(found[1]) * _SECONDS[found[2]]
    seconds = float(_convert(value, float))
    if seconds != seconds:
        raise ValueError("")
    return seconds


def show_duration(seconds: float) -> str:
    """Seconds as a person writes them: 90.0 -> "90s", 7200.0 -> "2h"."""
    for unit, length in (("h", 3600.0), ("m", 60.0)):
        if seconds >= 2 * length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"


def size(least: int = 0, most: int = 1 << 50) -> Kind:
    """A number of bytes, bare or with a unit; k, m and g count by 1024."""

    def read(value: Any) -> int:
        number = _read_bytes(value)
        if not least <= number <= most:
            raise ValueError(
                f"it is {'less' if number < least else 'more'} than {show_size(least if number < least else most)}"
            )
        return number

    zero = "; 0 means no bound" if least == 0 else ""
    return Kind("size", f"a size such as 65536, 64k or 100MiB{zero}", read, "SIZE", show=show_size)


def size_or(word: str, stands_for: int, least: int, most: int) -> Kind:
    """A number of bytes, or one word that stands for a number (such as "auto")."""
    bytes_ = size(least, most)

    def read(value: Any) -> int:
        return stands_for if value == word else int(bytes_.read(value))

    def show(value: int) -> str:
        return word if value == stands_for else show_size(value)

    return Kind("size", f"{bytes_.accepts}, or {word}", read, f"SIZE|{word}", show=show)


def _read_bytes(value: Any) -> int:
    if not isinstance(value, str):
        return int(_convert(value, int))
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError("")
    unit = found[2].lower()
    number = float(found[1]) * _BYTES["b" if unit.startswith("b") else unit[:1]]
    if number == math.inf or number != int(number):
        raise ValueError("it is not a whole number of bytes")
    return int(number)


def show_size(number: int) -> str:
    """Bytes as a person writes them: 65536 -> "64KiB"."""
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number and number % length == 0:
            return f"{number // length}{unit}"
    return str(number)


def switch() -> Kind:
    """On or off."""
    return Kind("switch", "true or false", _read_switch, "", show=lambda value: "true" if value else "false")


def _read_switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError("")


def choice(*words: str, also: dict[str, str] | None = None) -> Kind:
    """One of some words. ``also`` maps spellings of other servers to one of them."""
    others = also or {}

    def read(value: Any) -> str:
        word = _read_text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
        word = others.get(word.strip().lower(), word.strip().lower())
        if word not in words:
            raise ValueError("")
        return word

    accepts = ", ".join(words[:-1]) + f" or {words[-1]}"
    return Kind("choice", accepts, read, "|".join(words))


def octal(most: int = 0o777) -> Kind:
    """A file mode: octal digits, with or without 0o."""

    def read(value: Any) -> int:
        # TOML's 0o022 arrives as the number 18 and is meant; a bare 22 in TOML is most likely meant as octal digits.
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError("write it as a text, so that its digits are surely octal")
        digits = _read_text(value).strip().lower().removeprefix("0o")
        if not digits or set(digits) - set("01234567") or int(digits, 8) > most:
            raise ValueError("")
        return int(digits, 8)

    return Kind("mode", f"octal digits up to {most:o}, as in 022", read, "MODE", show=lambda value: f"{value:03o}")


def many(one: Kind, splits: str = ",") -> Kind:
    """Several values of one kind. Each text is cut at ``splits``, so that one variable can hold them all."""

    def read_one(index: int, part: Any) -> Any:
        try:
            return one.read(part)
        except InnerError as error:
            raise InnerError(f"{index}.{error.key}", str(error)) from None

    def read(value: Any) -> tuple[Any, ...]:
        values: list[Any] = []
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, str):
                values += [piece.strip() for piece in part.split(splits) if piece.strip()]
            else:
                values.append(part)
        return tuple(read_one(index, part) for index, part in enumerate(values))

    def show(values: tuple[Any, ...]) -> str:
        return ", ".join(one.show(value) for value in values) if values else "none"

    return Kind(one.name, one.accepts + ", or a list of these", read, one.metavar, show=show, splits=splits)
