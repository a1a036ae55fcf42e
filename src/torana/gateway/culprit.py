"""Whose fault it was: a traceback cut down to the user's own frames, and the last place in the user's code.

Frames of this program and of the import machinery are dropped; runs of frames of installed packages become one line.
"""

from __future__ import annotations

import os
import traceback
from functools import cache
from types import ModuleType, TracebackType

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Compiled modules of ours name their files relative to the source tree.
_COMPILED = "src/torana/"
#: Longest traceback that is shown; a recursion error has a thousand frames, all alike.
_MOST_FRAMES = 40


def trimmed(error: BaseException) -> str:
    """The traceback of an error as text, without what is not the user's; chained errors come first, as in Python."""
    parts: list[str] = []
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain and len(chain) < 8:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    for link in reversed(chain):
        if parts:
            parts.append("\nand then:\n\n")
        parts.append("Traceback (your own frames):\n" if _frames(link.__traceback__) else "")
        parts += _frames(link.__traceback__)
        parts += traceback.format_exception_only(link)
    return "".join(parts)


def last_place(error: BaseException) -> str | None:
    """The innermost line of the user's own code that an error came through, as "FILE, line N", or None."""
    place = None
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f"{_short(error.filename)}, line {error.lineno}"
    for frame in traceback.extract_tb(error.__traceback__):
        if _is_users(frame.filename):
            place = f"{_short(frame.filename)}, line {frame.lineno}"
    return place


def is_circular(error: BaseException) -> bool:
    """Whether it was raised by using a module that was still being imported further out; messages differ by version."""
    if isinstance(error, ImportError):
        name = error.name
    elif isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        name = error.obj.__name__
    else:
        return False
    bodies = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == "<module>"]
    return any(frame.f_globals.get("__name__") == name for frame in bodies)


def stack_text(stack: traceback.StackSummary) -> str:
    """The frames of running code, outermost first, without those of this program; a deep one loses its outer end."""
    shown = [frame for frame in stack if not _is_machinery(frame.filename)]
    return "".join(traceback.format_list(shown[-_MOST_FRAMES:])).rstrip("\n")


def stack_place(stack: traceback.StackSummary) -> str | None:
    """The innermost line of the user's own code in a stack, as "FILE, line N", or None."""
    for frame in reversed(stack):
        if _is_users(frame.filename):
            return f"{_short(frame.filename)}, line {frame.lineno}"
    return None


def _frames(trace: TracebackType | None) -> list[str]:
    shown: list[str] = []
    skipped = 0
    extracted = [frame for frame in traceback.extract_tb(trace) if not _is_machinery(frame.filename)]
    if len(extracted) > _MOST_FRAMES:
        extracted = extracted[: _MOST_FRAMES // 2] + extracted[-_MOST_FRAMES // 2 :]
    for index, frame in enumerate(extracted):
        # The innermost frame is always shown: it is where the error was raised, whoever wrote it.
        if not _is_users(frame.filename) and index < len(extracted) - 1:
            skipped += 1
            continue
        if skipped:
            shown.append(f"  ... {skipped} frame{'s' if skipped > 1 else ''} of installed packages\n")
            skipped = 0
        shown += traceback.format_list([frame])
    return shown


def _is_machinery(filename: str) -> bool:
    return filename.startswith(("<frozen", _OWN, _COMPILED)) or f"{os.sep}importlib{os.sep}" in filename


def _is_users(filename: str) -> bool:
    if _is_machinery(filename) or filename.startswith("<") or f"{os.sep}site-packages{os.sep}" in filename:
        return False
    return not filename.startswith(_installed())


@cache
def _installed() -> tuple[str, ...]:
    # Imported only here, where an error is shown: it takes milliseconds.
    import sysconfig

    return tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _short(filename: str) -> str:
    relative = os.path.relpath(filename)
    return filename if relative.startswith("..") else relative
