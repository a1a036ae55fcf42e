"""Where the sites under attack write what they saw: one JSON line a call, in the file that NOTES names.

Never here: what should have been seen (``tests.threats.stage`` reads the file).
"""

from __future__ import annotations

import json
import os
from typing import Any

#: As much of a body as is noted.
SHOWN_BYTES = 1000

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_FILE = os.open(os.environ.get("NOTES", os.devnull), _FLAGS, 0o600)


def note(event: str, **seen: Any) -> None:
    """One line; bytes as latin-1.

    ``event``: ``call`` at its start; ``body``, with the same facts, when its body ended or was given up.
    """
    line = json.dumps({"event": event, "pid": os.getpid(), **seen}, default=lambda value: value.decode("latin-1"))
    os.write(_FILE, line.encode() + b"\n")
