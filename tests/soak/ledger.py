"""What became of everything that was tried: done, a client's own fault, or without explanation.

Lives here: the three columns, and what the servers' logs say that nobody asked for. Never here: what is tried.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.soak.site import ASKED_FOR

#: Kept in words; beyond it they are only counted.
MOST_TOLD = 200

RECORD = re.compile(r"(?m)^(?=\S.*?\] (?:DEBUG|INFO|WARNING|ERROR|CRITICAL) )")
LEVEL = re.compile(r"\] (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
#: Warnings that are about what a client did; every other one is unexplained.
ABOUT_CLIENTS = ("refused ",)
#: And those of a server whose workers retire, while clients that stall hold them.
ABOUT_RETIREMENT = (
    "too many workers are retiring", "the graceful stop is over and these are told to end", "told and cancelled",
)  # fmt: skip


class Explained(Exception):
    """What happened is what this client had coming, or a thing that HTTP allows a server to do at that moment."""


class Unexplained(Exception):
    """A server did what it may not do."""


class Ledger:
    """Counts by kind of client."""

    def __init__(self) -> None:
        #: Answers, messages and sessions that were right.
        self.done: Counter[str] = Counter()
        #: What clients brought on themselves, or had to try again by the rules of HTTP.
        self.explained: Counter[str] = Counter()
        self.unexplained: list[str] = []
        self.unexplained_count = 0

    def note_done(self, kind: str, count: int = 1) -> None:
        """Something was as it should be."""
        self.done[kind] += count

    def note_explained(self, kind: str, what: str) -> None:
        """Something that is this client's own fault or choice."""
        self.explained[f"{kind}: {what}"] += 1

    def note_unexplained(self, kind: str, what: str) -> None:
        """Something that must not be."""
        self.unexplained_count += 1
        if len(self.unexplained) < MOST_TOLD:
            self.unexplained.append(f"{kind}: {what}")

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        return {
            "done": dict(sorted(self.done.items())),
            "explained": dict(sorted(self.explained.items())),
            "unexplained": self.unexplained,
            "unexplained_count": self.unexplained_count,
        }


def complaints(log: str, *, is_renewed: bool = False) -> list[str]:
    """Records of a server's log that nobody asked for: warnings not about clients, errors, tracebacks."""
    found = []
    expected = ABOUT_CLIENTS + ABOUT_RETIREMENT if is_renewed else ABOUT_CLIENTS
    for record in RECORD.split(log):
        level = LEVEL.search(record[:200])
        is_warning = level is not None and level[1] == "WARNING"
        is_error = "Traceback" in record or (level is not None and level[1] in ("ERROR", "CRITICAL"))
        if is_error and ASKED_FOR in record:
            continue
        if is_error or (is_warning and not any(words in record for words in expected)):
            found.append(record.strip())
    return found
