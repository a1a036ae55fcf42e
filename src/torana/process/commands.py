"""What can be said over the control socket: requests {"do": ...}, and the answers to them. Values only.

An answer has ``ok``; one that is not ok has ``why``, a sentence, and where there is more to see ``text``.
"""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

#: Longest request and answer, in bytes.
REQUEST_BYTES = 4096
ANSWER_BYTES = 4 * 1024 * 1024


class StatusRequest(msgspec.Struct, tag_field="do", tag="status", forbid_unknown_fields=True):
    """Answered with a ``Status``."""


class ReloadRequest(msgspec.Struct, tag_field="do", tag="reload", forbid_unknown_fields=True):
    """Answered when the reload is over: ``generation`` and ``took_s``; or not ok, with ``why`` and maybe ``text``."""


class ScaleRequest(msgspec.Struct, tag_field="do", tag="scale", forbid_unknown_fields=True):
    """Answered with ``was`` and ``wanted``."""

    workers: Annotated[int, msgspec.Meta(ge=1, le=4096)]


class StopRequest(msgspec.Struct, tag_field="do", tag="stop", forbid_unknown_fields=True):
    """Answered at once with ``pid``; the connection stays open until the server has ended. ``now``: not gracefully."""

    now: bool = False


class DumpRequest(msgspec.Struct, tag_field="do", tag="dump", forbid_unknown_fields=True):
    """Answered with ``workers``, the pids of those that show their stacks in the log. ``worker``: a pid; 0 is all."""

    worker: Annotated[int, msgspec.Meta(ge=0)] = 0


Request = StatusRequest | ReloadRequest | ScaleRequest | StopRequest | DumpRequest


class WorkerStatus(TypedDict, total=False):
    """One worker; what is not known is left out or None."""

    slot: int
    pid: int
    state: str
    generation: int
    age_s: float
    rss_bytes: int
    #: Of it, for clients: bodies and answers on their way.
    held_bytes: int
    connections: int
    #: Requests answered so far, being answered, and waiting for a thread.
    served: int
    running: int
    waiting: int
    #: Why it is to be replaced, or what is wrong with it.
    worn: str


class ServiceStatus(TypedDict, total=False):
    """One ``[[service]]``."""

    name: str
    pid: int | None
    state: str
    age_s: float
    restarts: int


class Abandoned(TypedDict, total=False):
    """The last reload that was given up."""

    why: str
    text: str
    age_s: float


class Status(TypedDict, total=False):
    """The answer to ``status``."""

    pid: int
    version: str
    application: str
    mode: str
    age_s: float
    generation: int
    wanted: int
    listening: list[str]
    workers: list[WorkerStatus]
    services: list[ServiceStatus]
    abandoned: Abandoned | None
