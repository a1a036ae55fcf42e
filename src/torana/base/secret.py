"""Text that is not to be seen where its owner is shown: options are in tracebacks' locals and debug messages.

Never here: encryption; it is plain text in memory.
"""

from __future__ import annotations


class Secret(str):
    """As any text, but its ``repr`` says only whether there is one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(...)" if self else "Secret()"
