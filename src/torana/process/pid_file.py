"""The file that tells others our process id: written whole or not at all, removed only if it is still ours."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from torana.base.errors import ConfigError


@contextlib.contextmanager
def pid_file(path: str | None) -> Iterator[None]:
    """Keep a pid file while the block runs; None keeps none. Raises ``ConfigError`` if another server has it."""
    if path is None:
        yield
        return
    own = f"{os.getpid()}\n"
    other = _running(path)
    if other is not None and other != os.getpid():
        raise ConfigError(f"pid: {path!r} belongs to process {other}, which is running: stop it or choose another")
    _write(path, own)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # A forked worker that leaves this block leaves the file alone.
            if own == f"{os.getpid()}\n" and _read(path) == own:
                os.unlink(path)


def _running(path: str) -> int | None:
    """The process that a pid file names, if it lives."""
    try:
        number = int(_read(path))
        if number <= 0:
            return None
        os.kill(number, 0)
    except PermissionError:
        return number
    except (OSError, ValueError, OverflowError):
        return None
    return number


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read(32)


def _write(path: str, text: str) -> None:
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise ConfigError(f"pid: {path!r} cannot be written: {error.strerror}") from None
