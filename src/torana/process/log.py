"""The server's own log: logger "torana", on standard error, short and coloured on a terminal, plain elsewhere.

Only our logger is touched; the application's logging stays the application's. ``--log-config`` replaces all of it.
The access log is not here, it never passes through ``logging`` (``serve/access_log.py``).
"""

from __future__ import annotations

import logging
import os
import select
import sys
from typing import Any

from torana.base.errors import ConfigError
from torana.process.log_lines import LineHandler
from torana.process.options import LogOptions

_COLORS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def set_up_log(options: LogOptions) -> None:
    """Make the server's logger write as the options say; raises ``ConfigError`` for a bad ``log_config``."""
    logger = logging.getLogger("torana")
    if options.config_file is not None:
        logger.setLevel(options.level.upper())
        _apply_file(options.config_file)
        return
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    handler = _handler()
    is_colored = options.color == "always" or (options.color == "auto" and is_terminal)
    handler.setFormatter(_Short(is_colored) if is_terminal or is_colored else _plain())
    for old in list(logger.handlers):
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(options.level.upper())
    logger.propagate = False


def _handler() -> logging.Handler:
    """Standard error itself, or whatever somebody has put in its place."""
    stream = sys.__stderr__
    if stream is None or sys.stderr is not stream or not hasattr(select, "poll"):
        return logging.StreamHandler()
    try:
        return LineHandler(stream.fileno(), stream.encoding or "utf-8")
    except (OSError, ValueError):
        return logging.StreamHandler()


def _plain() -> logging.Formatter:
    return logging.Formatter("%(asctime)s [%(process)d] %(levelname)s %(message)s")


class _Short(logging.Formatter):
    """Time of day, level if it is not the usual one, message."""

    def __init__(self, is_colored: bool) -> None:
        super().__init__("%(message)s", "%H:%M:%S")
        self._is_colored = is_colored

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        clock, text = self.formatTime(record, self.datefmt), super().format(record)
        if not self._is_colored:
            return f"{clock} {level}{text}"
        color = _COLORS.get(record.levelname, "0")
        return f"\x1b[2m{clock}\x1b[0m \x1b[{color}m{level}\x1b[0m{text}"


def _apply_file(path: str) -> None:
    """Hand a logging configuration to the standard library: .json and .toml are dictConfig, all else is fileConfig."""
    import logging.config

    ending = os.path.splitext(path)[1].lower()
    try:
        if ending in (".json", ".toml"):
            logging.config.dictConfig(_dictionary(path, ending))
        else:
            logging.config.fileConfig(path, disable_existing_loggers=False)
    except Exception as error:
        cause = error.__cause__ or error
        raise ConfigError(f"log_config: {path!r} is no logging configuration: {error} ({cause})") from None


def _dictionary(path: str, ending: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        if ending == ".json":
            import json

            loaded: dict[str, Any] = json.load(file)
            return loaded
        import tomllib

        return tomllib.load(file)
