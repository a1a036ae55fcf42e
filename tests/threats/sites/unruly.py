"""What an application is told to do wrong: JSON in the field X-Do of its request. Bytes stand in it as {"b": "text"}.

Never here: what should come of it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn


class Own(BaseException):
    """Of no family that a server knows."""


ERRORS: dict[str, type[BaseException]] = {
    error.__name__: error
    for error in (
        *(ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, StopIteration, MemoryError),
        *(StopAsyncIteration, RecursionError, OSError, ExceptionGroup, Own),
    )
}


def told(text: str) -> Any:
    """What X-Do says."""
    return json.loads(text, object_hook=lambda item: item["b"].encode("latin-1") if item.keys() == {"b"} else item)


def tell(what: Any) -> str:
    """X-Do, for ``told``."""
    return json.dumps(what, default=lambda data: {"b": data.decode("latin-1")})


def fail(name: str) -> NoReturn:
    """Raise it; the one for too deep recursion by recursion."""
    if name == "RecursionError":
        fail(name)
    if name == "ExceptionGroup":
        raise ExceptionGroup("two", [ValueError("one"), OSError("other")])
    raise ERRORS[name]("on purpose")
