"""What the exit code of each ending is (the contract's table)."""

from __future__ import annotations

from typing import Final

from torana.base.errors import ToranaError

STOPPED: Final = 0
FAILED: Final = 1
BAD_CONFIGURATION: Final = 2
NOT_LOADED: Final = 3
NOT_BOUND: Final = 4


def exit_code_of(error: BaseException | None) -> int:
    """The exit code of a run that ended with an error, or without one. Ctrl-C is a stop as asked."""
    if error is None or isinstance(error, KeyboardInterrupt):
        return STOPPED
    return error.exit_code if isinstance(error, ToranaError) else FAILED
