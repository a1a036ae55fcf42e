"""The file that tells others our process id: written whole or not at all, removed only if it is still ours.

A program that takes over from another writes it when it is the server; the other is found in FILE.oldbin from then on,
as users of nginx and gunicorn know it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from torana.base.errors import ConfigError

#: Added to the name for a program that has handed over and still finishes what it has.
OLD = ".oldbin"


class PidFile:
    """A pid file, or none (path None)."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._written: list[str] = []

    def check(self, heir_of: int = 0) -> None:
        """Raise ``ConfigError`` if another living server has it; ``heir_of`` is one that we take over from."""
        if self._path is None:
            return
        other = _running(self._path)
        if other is not None and other not in (os.getpid(), heir_of):
            raise ConfigError(
                f"pid: {self._path!r} belongs to process {other}, which is running: stop it or choose another"
            )

    def write(self) -> None:
        """We are the server. Raises ``ConfigError`` if it cannot be written."""
        if self._path is not None:
            self._write(self._path)

    @property
    def path(self) -> str | None:
        """Where it is, as an absolute path."""
        return None if self._path is None else os.path.abspath(self._path)

    def step_back(self, new: str | None) -> None:
        """Another program is the server and has its file at ``new``; ours is found in FILE.oldbin while it lasts."""
        if self._path is None:
            return
        if new == self.path:
            self._written.clear()  # its file, which it is about to write
        try:
            self._write(self._path + OLD)
        except ConfigError as error:
            logging.getLogger("torana").warning("%s", error)

    def _write(self, path: str) -> None:
        _write(path, f"{os.getpid()}\n")
        self._written.append(path)

    def remove(self) -> None:
        """Remove what is still ours."""
        for path in self._written:
            with contextlib.suppress(OSError):
                if _read(path) == f"{os.getpid()}\n":
                    os.unlink(path)


@contextlib.contextmanager
def pid_file(path: str | None, heir_of: int = 0) -> Iterator[PidFile]:
    """Keep a pid file while the block runs; None keeps none. Raises ``ConfigError`` if another server has it.

    With ``heir_of``, the process that we take over from, it is written only when ``write`` is called.
    """
    file = PidFile(path)
    file.check(heir_of)
    if not heir_of:
        file.write()
    pid = os.getpid()
    try:
        yield file
    finally:
        # A forked worker that leaves this block leaves the file alone.
        if pid == os.getpid():
            file.remove()


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
    # What lies there may be anybody's: of a fifo, the writer is not waited for.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, encoding="ascii", errors="replace") as file:
        return file.read(32)


def _write(path: str, text: str) -> None:
    temporary = f"{path}.{os.getpid()}"
    try:
        # Others may write to the directory (/tmp): whatever they put there is removed, never written through.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise ConfigError(f"pid: {path!r} cannot be written: {error.strerror}") from None
