"""Whether an application bears more than one worker under these options, and the words for it when it does not.

Values only: what it is was found out by whoever looked at it, what follows is the fleet's.
"""

from __future__ import annotations

from torana.base.errors import ToranaError
from torana.base.worker_policy import ANY, SINGLE
from torana.process.options import RunOptions


class Surplus(ToranaError):
    """This worker is one too many; the text says why."""


def why_one(policy: str, why: str, options: RunOptions) -> str:
    """Why there may be only one worker, as a sentence without a full stop; "" if there may be more."""
    if policy == ANY or (policy != SINGLE and options.serve.affinity):
        return ""
    if policy == SINGLE:
        return f"the application {why or 'bears no second one'}; affinity does not change that"
    return f"the application {why or 'keeps its sessions in memory'}; say --affinity cookie to have more"


def instead(before: int, why: str) -> str:
    """The line for the log."""
    return f"1 worker instead of {before}: {why}"
