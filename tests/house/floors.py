"""Laws A, B and C: imports go down, the lower floors have no outside world, a ``.pxd`` is the mark of "compiled"."""

from __future__ import annotations

import ast

from tests.house.tree import File, Import, Tree

#: What each floor may import, besides itself: a module and all below it.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "base": (),
    "wire": ("base",),
    "net": ("base",),
    "exchange": ("base", "wire.events"),
    "gateway": ("base", "wire.events", "wire.http1.client", "exchange"),
    "edge": ("base", "wire", "net", "exchange"),
    "serve": ("base", "wire", "net", "exchange", "gateway", "edge"),
    "process": ("base", "net", "serve"),
    # The shape of an address and of the options are values: config reads the one and fills the other.
    "config": ("base", "net.address", "process.options"),
    "cli": ("base", "config", "process"),
    "testing": ("base", "wire", "net", "exchange", "gateway", "edge", "serve", "process", "config"),
}

#: Of every floor below, config (which fills them) and the options of a run (which carry them to the worker) may import
#: the declarations of what can be set.
DECLARATIONS = ("options", "limits")
CARRIERS = ("torana.config", "torana.process.options")

#: The supervisor never loads an application; its worker does.
WORKER = "torana.process.worker"

#: Law B: no clock, no loop, no files, no threads, no log. Time and limits are passed in.
WITHOUT_WORLD = ("base", "wire", "exchange")
WORLD = frozenset(
    "asyncio socket ssl select selectors threading time os logging signal subprocess multiprocessing concurrent "
    "datetime pathlib io tempfile posix resource uvloop _socket _ssl _thread".split()
)
WORLD_IN_C = ("posix", "libc.time", "libc.stdio", "libc.signal")


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _upward(file: File, target: str, tree: Tree) -> str | None:
    """Why ``file`` may not import ``target``, a module of torana; None when it may."""
    parts = target.split(".")
    if target == "torana":
        return None  # its name and version; what it offers is refused by name
    floor = parts[1]
    if floor == "testing" and file.floor != "testing":
        return "nothing imports testing"
    if file.floor == "":
        return None if file.module == "torana" or floor == "cli" else "only the package's door may import any floor"
    if floor == file.floor:
        other = parts[2] if len(parts) > 2 else ""
        if file.room and other != file.room and (floor, other) in tree.rooms:
            return f"rooms {file.room} and {other} do not know each other"
        return None
    if parts[-1] in DECLARATIONS and any(_is_below(file.module, carrier) for carrier in CARRIERS):
        return None
    if file.floor == "process" and floor == "serve" and not _is_below(file.module, WORKER):
        return "only the worker imports serve"
    if any(_is_below(target, f"torana.{below}") for below in MAY_IMPORT.get(file.floor, ())):
        return None
    return f"{file.floor} may not import {floor}"


def law_a(tree: Tree) -> list[str]:
    """Imports (and cimports) go down; siblings do not know each other."""
    found = []
    for file in tree.files:
        if file.floor and file.floor not in MAY_IMPORT:
            found.append(f"{file.path}: no floor is called {file.floor}")
        for entry in file.imports:
            if not _is_below(entry.where, "torana"):
                continue
            why = _upward(file, tree.target(entry), tree) or _door(file, entry, tree)
            if why:
                found.append(f"{file.path}:{entry.line}: {why}")
    return found


def _door(file: File, entry: Import, tree: Tree) -> str | None:
    """Refuse ``from torana import run`` inside: what the door offers lies on upper floors."""
    if file.floor and tree.target(entry) == "torana" and entry.name not in ("", "__version__"):
        return f"{entry.name} is imported through the package's door"
    return None


def law_b(tree: Tree) -> list[str]:
    """base, wire and exchange know no world outside."""
    found = []
    for file in tree.files:
        if file.floor not in WITHOUT_WORLD:
            continue
        for entry in file.imports:
            if file.is_python and entry.where.split(".")[0] in WORLD:
                found.append(f"{file.path}:{entry.line}: {file.floor} imports {entry.where}")
            full = f"{entry.where}.{entry.name}"
            if not file.is_python and any(_is_below(entry.where, w) or _is_below(full, w) for w in WORLD_IN_C):
                found.append(f"{file.path}:{entry.line}: {file.floor} cimports {entry.where}")
    return found


def _guarded_lines(file: File) -> set[int]:
    """Lines of ``import cython`` that do without: in a ``try`` that expects ImportError."""
    lines: set[int] = set()
    for node in ast.walk(file.tree):
        expected = {getattr(handler.type, "id", "") for handler in getattr(node, "handlers", ())}
        if isinstance(node, ast.Try) and expected & {"ImportError", "ModuleNotFoundError"}:
            lines.update(statement.lineno for statement in node.body)
    return lines


def law_c(tree: Tree) -> list[str]:
    """A ``.pxd`` has its ``.py``, cimports what is compiled, and is the only mark: no source asks for Cython."""
    found = []
    for file in tree.cython:
        if file.path[:-3] + "py" not in tree.paths:
            found.append(f"{file.path}: has no .py beside it")
        if file.path.endswith("/__init__.pxd"):
            found.append(f"{file.path}: packages are not compiled")
        for entry in file.imports:
            target = tree.target(entry)
            if _is_below(target, "torana") and target.replace(".", "/") + ".pxd" not in tree.paths:
                found.append(f"{file.path}:{entry.line}: cimports {target}, which has no .pxd")
    for file in tree.python:
        spared = _guarded_lines(file)
        for entry in file.imports:
            if entry.where.split(".")[0].lower() in ("cython", "pyximport") and entry.line not in spared:
                found.append(f"{file.path}:{entry.line}: needs Cython at run time")
    return found
