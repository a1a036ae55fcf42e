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
from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any

from torana.base.errors import LoadError
from torana.gateway.detect import is_factory
from torana.gateway.find import Found, find
from torana.gateway.hygiene import Call, ServesItself, watched
from torana.gateway.judge import MadeOnLoop
from torana.gateway.options import ApplicationOptions
from torana.gateway.pick import file_of, pick
from torana.gateway.products.hosted import Hosted
from torana.gateway.shape import is_async, is_coroutine
from torana.gateway.warm import KNOWN

#: A factory may make a factory, but not for ever.
_MOST_CALLS = 3
_CALL = re.compile(r"(?P<name>[\w.]+)\s*(?P<arguments>\(.*\))", re.DOTALL)


def load(options: ApplicationOptions) -> Any:
    """The application that the options mean. Raises ``LoadError``; never lets ``SystemExit`` through."""
    found = find(options.target, options.app_dir, options.interface)
    return load_found(found, options.is_factory, options.interface)[0]


def warm_up(names: Iterable[str]) -> None:
    """Import frameworks ahead (``warm.KNOWN``); one that fails is left to the application, which will hear of it."""
    for name in names:
        if name not in KNOWN:
            continue
        try:
            importlib.import_module(name)
        except Exception:
            continue


def load_found(found: Found, is_told_factory: bool = False, told: str = "auto") -> tuple[Any, str]:
    """Import what was found, and call it if it is a factory: the application, and its name as ``module:name``.

    ``told``: as ``--interface`` says. Of an async factory the application is a ``judge.MadeOnLoop``.
    """
    with watched(found.module) as noticed:
        module = import_found(found)
        if found.attribute is None:
            is_told = is_told_factory or told != "auto"
            served = [_served(each) for each in noticed.calls]
            name, candidate = pick(found, module, is_told, [each for each in served if each is not None])
        else:
            call = _CALL.fullmatch(found.attribute.strip())
            name = call["name"] if call else found.attribute.strip()
            candidate = _attribute(found, module, name)
            if call:
                made = _call_factory(found, name, candidate, *_literals(call["arguments"]), told=told)
                return made, f"{found.module}:{found.attribute.strip()}"
        name = f"{found.module}:{name}"
        for _ in range(_MOST_CALLS):
            if not is_told_factory and (told != "auto" or not is_factory(candidate)):
                break
            candidate = _call_factory(found, name.partition(":")[2], candidate, (), {}, told=told)
            name, is_told_factory = name + "()", False
    return candidate, name


def _served(call: Call) -> Any:
    """What a server was to be started with; of a coroutine that makes it, what will run it."""
    application = call.application
    if is_coroutine(application):
        return MadeOnLoop(lambda: application, call.name)
    return application if not isinstance(application, str) else None


def host(found: Found, options: ApplicationOptions) -> Hosted:
    """Have a product's own module host what was found; raises ``LoadError``."""
    try:
        return _product(found.product).host(found, options)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if error.name and not error.name.startswith("torana"):
            raise _load_error(_needs(found.product, error), error) from error
        raise


def unwrap(product: str, application: Any, options: ApplicationOptions | None = None) -> Hosted | None:
    """What a product's own module makes of an object of that product; None if there is nothing to unwrap it."""
    unwrapping = getattr(_product(product), "unwrap", None)
    return None if unwrapping is None else unwrapping(application, options)


def _product(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"torana.gateway.products.{name}")
    except ModuleNotFoundError as error:
        raise _load_error(_needs(name, error), error) from error


def _needs(product: str, error: ModuleNotFoundError) -> str:
    return f"{product} needs the module {error.name!r}, which is not installed ({sys.executable})"


def import_found(found: Found) -> ModuleType:
    """Import the module that was found, without looking for a name in it; raises ``LoadError``."""
    _look_first_in(found.directory)
    return _import(found)


def _look_first_in(directory: str) -> None:
    if directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    importlib.invalidate_caches()


def run_as_main(found: Found) -> dict[str, Any]:
    """Run the file that was found as the program ``__main__``, and give the names that it has bound; raises
    ``LoadError``. ``gateway.program.as_program`` gives it its command line.
    """
    import runpy

    try:
        return runpy.run_path(found.path, run_name="__main__")
    except (Exception, SystemExit) as error:
        raise _load_error(_cause(found, error), error) from error


def import_program(found: Found) -> ModuleType:
    """Import the file that was found as the module that it is, and have it do all the same what it does as a program:
    ``if __name__ == "__main__"`` holds in it. Raises ``LoadError``.

    Unlike ``run_as_main`` its classes and functions are found again by their module, also in other processes.
    """
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_file_location

    from torana.gateway.source import is_main_guard

    class Loader(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            tree = ast.parse(self.get_data(self.path), self.path)
            for node in ast.walk(tree):
                if isinstance(node, ast.If) and is_main_guard(node):
                    node.test = ast.copy_location(ast.Constant(True), node.test)
            return compile(tree, self.path, "exec", dont_inherit=True)

    _look_first_in(found.directory)
    package = found.module.rpartition(".")[0]
    try:
        if package:
            importlib.import_module(package)
        spec = spec_from_file_location(found.module, found.path, loader=Loader(found.module, found.path))
        assert spec is not None and spec.loader is not None
        module = sys.modules[found.module] = module_from_spec(spec)
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(found.module, None)
        raise _load_error(_cause(found, error), error) from error
    return module


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


def _attribute(found: Found, module: ModuleType, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise LoadError(
                f"the module {found.module!r} ({file_of(module)}) has no {path!r}{_nearest_in(module, path)}"
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


def _call_factory(
    found: Found, name: str, factory: Any, positional: tuple[Any, ...], named: dict[str, Any], told: str = "auto"
) -> Any:
    """What a factory makes; for an async one, what will make it on the loop."""
    full = f"{found.module}:{name}"
    if not callable(factory):
        raise LoadError(f"{full} is said to be a factory, but it cannot be called")
    if is_async(factory):
        return MadeOnLoop(lambda: factory(*positional, **named), full, told)
    try:
        application = factory(*positional, **named)
    except (Exception, SystemExit) as error:
        raise _factory_failed(full, error) from error
    if is_coroutine(application):
        return MadeOnLoop(lambda: application, full, told)
    return _something(full, application)


async def made_of(make: Callable[[], Awaitable[Any]], full: str) -> Any:
    """Await an async factory; raises ``LoadError`` whatever goes wrong in it."""
    try:
        application = await make()
    except (Exception, SystemExit) as error:
        raise _factory_failed(full, error) from error
    return _something(full, application)


def _something(full: str, application: Any) -> Any:
    if application is None:
        raise LoadError(f"the factory {full} returned nothing; it must return the application")
    return application


def _factory_failed(full: str, error: BaseException) -> LoadError:
    hint = ""
    if isinstance(error, RuntimeError) and "event loop" in str(error):
        hint = "; an async factory (async def) runs on the serving loop"
    return _load_error(f"the factory {full} failed: {_summary(error)}{hint}", error)


def _load_error(cause: str, error: BaseException) -> LoadError:
    if isinstance(error, LoadError):
        return error
    if isinstance(error, ServesItself):
        return LoadError(cause)  # where it is, the cause says
    from torana.gateway.culprit import trimmed

    return LoadError(f"{cause}\n\n{trimmed(error).rstrip()}")


def _cause(found: Found, error: BaseException) -> str:
    """The likely cause of a failed import, in one line."""
    from torana.gateway.culprit import is_circular, last_place

    place = last_place(error)
    where = f" ({place})" if place else ""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{found.module} needs the module {error.name!r}{where}, which is not installed ({sys.executable})"
    if is_circular(error):
        return f"{found.module} imports itself in a circle{where}: {_summary(error)}"
    if isinstance(error, SyntaxError):
        return f"{found.module} has a syntax error{where}: {error.msg}"
    if isinstance(error, ServesItself):
        return f"{found.module}{f' ({error.call.place})' if error.call.place else ''}: {error}"
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
