"""The callables of a Tornado application's settings that are run in its life: Tornado itself has no such thing.

``on_startup``, ``on_drain`` and ``on_shutdown``: each one callable or a list of them, called without arguments, plain
or async. Never here: when they are run (``gateway``).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from torana.base.errors import LoadError
from torana.gateway.culprit import trimmed

_log = logging.getLogger("torana")


def hooks_of(app: Any, name: str) -> list[Callable[[], Any]]:
    """What ``settings`` holds under a name; raises ``LoadError`` when it is nothing that can be called."""
    settings = getattr(app, "settings", None)
    found = settings.get(name) if isinstance(settings, dict) else None
    if found is None:
        return []
    hooks = [found] if callable(found) else list(found)
    for hook in hooks:
        if not callable(hook):
            raise LoadError(f'settings["{name}"] holds {type(hook).__name__}, which cannot be called')
    return hooks


async def start_up(hooks: list[Callable[[], Any]], limit_s: float) -> Context:
    """Run them in order; the context that they leave. Raises ``LoadError`` when one fails or all take too long."""
    context = copy_context()
    if not hooks:
        return context
    task = asyncio.get_running_loop().create_task(_run_all(hooks), name="torana-startup", context=context)
    try:
        done, _ = await asyncio.wait((task,), timeout=limit_s or None)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise LoadError(
            f"the application did not complete its start-up within {limit_s:g} s (setting: timeout_startup)"
        )
    if task.cancelled():
        raise LoadError("the application refused to start: it cancelled its start-up")
    error = task.exception()
    if error is not None:
        raise LoadError(f"the application refused to start:\n{trimmed(error)}")
    return context


async def run_down(hooks: list[Callable[[], Any]], limit_s: float, context: Context, name: str) -> None:
    """Run each of them, whatever becomes of the others; what goes wrong is logged."""
    if not hooks:
        return
    tasks = asyncio.get_running_loop().create_task(_run_each(hooks, name), name="torana-" + name, context=context)
    done, _ = await asyncio.wait((tasks,), timeout=limit_s or None)
    if not done:
        tasks.cancel()
        _log.error("the application did not complete its %s within %g s", name, limit_s)


async def _run_all(hooks: list[Callable[[], Any]]) -> None:
    for hook in hooks:
        result = hook()
        if inspect.isawaitable(result):
            await result


async def _run_each(hooks: list[Callable[[], Any]], name: str) -> None:
    for hook in hooks:
        try:
            await _run_all([hook])
        except Exception:
            _log.exception("the application's %s failed", name)
