"""The one place where user code is imported (law D): from ``ApplicationOptions`` to an application object.

What goes wrong becomes a ``LoadError`` whose first line is the likely cause and whose rest, after a blank line, is one
traceback trimmed to the user's own frames.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from torana.base.errors import LoadError
from torana.gateway.detect import is_factory
from torana.gateway.find import NAMES, Found, find
from torana.gateway.options import ApplicationOptions
from torana.gateway.warm import KNOWN

_CALL = re.compile(r"(?P<name>[\w.]+)\s*(?P<arguments>\(.*\))", re.DOTALL)


def load(options: ApplicationOptions) -> Any:
    """The application that the options mean. Raises ``LoadError``; never lets ``SystemExit`` through."""
    return load_found(find(options.target, options.app_dir), options.is_factory)[0]


def warm_up(names: Iterable[str]) -> None:
    """Import frameworks ahead (``warm.KNOWN``); one that fails is left to the application, which will hear of it."""
    for name in names:
        if name not in KNOWN:
            continue
        try:
            importlib.import_module(name)
        except Exception:
            continue


def load_found(found: Found, is_told_factory: bool = False) -> tuple[Any, str]:
    """Import what was found, and call it if it is a factory: the application, and its name as ``module:name``."""
    if found.directory not in sys.path[:1]:
        sys.path.insert(0, found.directory)
    importlib.invalidate_caches()
    module = _import(found)
    if found.attribute is None:
        name, candidate = _first_name(found, module)
    else:
        call = _CALL.fullmatch(found.attribute.strip())
        name = call["name"] if call else found.attribute.strip()
        candidate = _attribute(found, module, name)
        if call:
            made = _call_factory(found, name, candidate, *_literals(call["arguments"]))
            return made, f"{found.module}:{found.attribute.strip()}"
    if is_told_factory or is_factory(candidate):
        return _call_factory(found, name, candidate, (), {}), f"{found.module}:{name}()"
    return candidate, f"{found.module}:{name}"


def call_function(target: str, app_dir: str | None, argument: object) -> None:
    """Import a plain function of the user's, ``module:function``, and call it with one argument; what it returns is
    dropped. Raises ``LoadError`` whatever goes wrong in it.
    """
    found = find(target, app_dir) if target else None
    if found is None or found.attribute is None:
        raise LoadError(f"{target!r} is no function; write module:function")
    if found.directory not in sys.path:
        sys.path.insert(0, found.directory)
    importlib.invalidate_caches()
    function = _attribute(found, _import(found), found.attribute.strip())
    if not callable(function):
        raise LoadError(f"{target} is of type {type(function).__name__}, which cannot be called")
    try:
        result = function(argument)
    except (Exception, SystemExit) as error:
        raise _load_error(f"{target} failed: {_summary(error)}", error) from error
    if hasattr(result, "cr_await"):
        result.close()
        raise LoadError(f"{target} is async; it must be a plain function")


def _import(found: Found) -> ModuleType:
    try:
        return importlib.import_module(found.module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and _is_itself(found, error):
            # Nothing of the user's ran: a traceback would only hide the sentence.
            near = _nearest_module(found, str(error.name))
            raise LoadError(f"there is no module {error.name!r} in {found.directory}{near}") from None
        raise _load_error(_cause(found, error), error) from error


def _is_itself(found: Found, error: ModuleNotFoundError) -> bool:
    """Whether the module that was not found is the one we looked for, or a package above it."""
    return bool(error.name) and f"{found.module}.".startswith(f"{error.name}.")


def _first_name(found: Found, module: ModuleType) -> tuple[str, Any]:
    """The first of the usual names that a module has; a submodule of that name does not count."""
    for name in NAMES:
        candidate = getattr(module, name, None)
        if candidate is not None and not isinstance(candidate, ModuleType):
            return name, candidate
    raise LoadError(
        f"the module {found.module!r} ({_file_of(module)}) has none of the names {', '.join(NAMES)}; "
        f"name yours: {found.module}:NAME"
    )


def _attribute(found: Found, module: ModuleType, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise LoadError(
                f"the module {found.module!r} ({_file_of(module)}) has no {path!r}{_nearest_in(module, path)}"
            ) from None
    return value


def _nearest_in(module: ModuleType, name: str) -> str:
    import difflib

    public = [each for each in vars(module) if not each.startswith("_")]
    close = difflib.get_close_matches(name, public, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _literals(arguments: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of ``module:factory(...)``: literals only, nothing is evaluated."""
    try:
        call = ast.parse(f"f{arguments}", mode="eval").body
        assert isinstance(call, ast.Call)
        positional = tuple(ast.literal_eval(argument) for argument in call.args)
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    except (SyntaxError, ValueError, AssertionError, RecursionError, MemoryError):
        raise LoadError(f"the factory arguments {arguments} are not plain values such as texts and numbers") from None
    return positional, named


def _call_factory(found: Found, name: str, factory: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    if not callable(factory):
        raise LoadError(f"{found.module}:{name} is said to be a factory, but it cannot be called")
    try:
        application = factory(*positional, **named)
    except (Exception, SystemExit) as error:
        raise _load_error(f"the factory {found.module}:{name} failed: {_summary(error)}", error) from error
    if hasattr(application, "cr_await"):
        application.close()
        raise LoadError(f"the factory {found.module}:{name} is async; a factory must return the application itself")
    if application is None:
        raise LoadError(f"the factory {found.module}:{name} returned nothing; it must return the application")
    return application


def _load_error(cause: str, error: BaseException) -> LoadError:
    from torana.gateway.culprit import trimmed

    return LoadError(f"{cause}\n\n{trimmed(error).rstrip()}")


def _cause(found: Found, error: BaseException) -> str:
    """The likely cause of a failed import, in one line."""
    from torana.gateway.culprit import last_place

    place = last_place(error)
    where = f" ({place})" if place else ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{found.module} needs the module {error.name!r}{where}, which is not installed ({sys.executable})"
    if isinstance(error, ImportError) and "partially initialized" in str(error):
        return f"{found.module} imports itself in a circle{where}: {_summary(error)}"
    if isinstance(error, SyntaxError):
        return f"{found.module} has a syntax error{where}: {error.msg}"
    if isinstance(error, SystemExit):
        return f"{found.module} ended the program while it was imported{where}, with {error.code!r}"
    return f"{found.module} failed while it was imported{where}: {_summary(error)}"


def _summary(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0][:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _nearest_module(found: Found, name: str) -> str:
    import difflib

    try:
        entries = sorted(os.listdir(found.directory))
    except OSError:
        return ""
    known = [entry.removesuffix(".py") for entry in entries if entry.endswith(".py")]
    known += [entry for entry in entries if os.path.isfile(os.path.join(found.directory, entry, "__init__.py"))]
    close = difflib.get_close_matches(name.partition(".")[0], known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _file_of(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "a namespace package: it has no file of its own"
