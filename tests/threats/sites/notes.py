"""Where the sites under attack write what they saw: one JSON line a call, in the file that NOTES names.

Never here: what should have been seen (``tests.threats.stage`` reads the file).
"""

from __future__ import annotations

import json
import os
from typing import Any

_FILE = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(event: str, **seen: Any) -> None:
    """One line; bytes as latin-1. ``event``: ``call`` at its start, ``body`` when its body ended or was given up."""
    line = json.dumps({"event": event, "pid": os.getpid(), **seen}, default=lambda value: value.decode("latin-1"))
    os.write(_FILE, line.encode() + b"\n")
