"""In how many workers an application may run; the words that a gateway says and a supervisor obeys."""

from __future__ import annotations

from typing import Final

#: In as many as there are: whatever one worker knows, the others know too, or need not.
ANY: Final = "any"
#: It keeps state in memory that a client must find again: one worker, or several when sessions stay with theirs
#: (affinity).
STICKY: Final = "sticky"
#: Exactly one, whatever is said.
SINGLE: Final = "single"

POLICIES: Final = (ANY, STICKY, SINGLE)
