"""Both builds of torana beside each other: the installed one, and its sources, which the compiled build carries too."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

#: Modules that must be imported anew to see the other build: torana, and all tests that import it.
_OURS = ("torana", "tests")


class SourceFinder(MetaPathFinder):
    """Finds torana's ``.py`` files where an extension module lies beside them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not fullname.startswith("torana."):
            return None  # The package itself is found as ever: it tells where the others are.
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(fullname)
            if spec is not None:
                return spec
        return None


@contextmanager
def _modules_put_aside() -> Iterator[None]:
    """Within: none of our modules is imported. Afterwards: those that were before."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in _OURS}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
            del sys.modules[name]
        sys.modules.update(before)


def use_sources() -> None:
    """Let this process import the pure build; to be called before torana is imported."""
    assert "torana.base.build" not in sys.modules
    sys.meta_path.insert(0, SourceFinder())


def run_of(name: str) -> Callable[[bytes], object]:
    """The target ``name``, in the build that this process imports."""
    run: Callable[[bytes], object] = importlib.import_module("tests.fuzz.targets").TARGETS[name].run
    return run


def pure_run_of(name: str, importing: AbstractContextManager[object] | None = None) -> Callable[[bytes], object]:
    """The target ``name`` with the pure sources, whatever this process imported before and will import.

    ``importing`` is entered around the imports.
    """
    finder = SourceFinder()
    with _modules_put_aside():
        sys.meta_path.insert(0, finder)
        try:
            with importing or nullcontext():
                run = run_of(name)
            assert not importlib.import_module("torana.base.build").is_compiled()
        finally:
            sys.meta_path.remove(finder)
    return run
