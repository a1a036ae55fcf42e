"""The source tree as the laws see it: files, their names, and what each imports. Never here: a law."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

_CIMPORT = re.compile(r"^\s*(?:from\s+(?P<where>[\w.]+)\s+)?c?import\s+\(?(?P<names>[^#\n]+)", re.MULTILINE)


@dataclass(frozen=True)
class Import:
    """One imported name: ``from torana.wire import events`` is where="torana.wire", name="events"."""

    line: int
    where: str
    name: str


@dataclass(frozen=True)
class File:
    """One ``.py`` or ``.pxd`` file; ``path`` is relative to ``src``."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    @cached_property
    def module(self) -> str:
        """Dotted name, "torana.wire.events"; a package's ``__init__`` has the package's name."""
        parts = self.path.rsplit(".", 1)[0].split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def floor(self) -> str:
        """Folder below torana, "wire"; "" for the files of the package itself."""
        parts = self.path.split("/")
        return parts[1] if len(parts) > 2 else ""

    @property
    def room(self) -> str:
        """Folder below the floor, "http1"; "" for a file that lies on the floor itself."""
        parts = self.path.split("/")
        return parts[2] if len(parts) > 3 else ""

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def imports(self) -> list[Import]:
        """All that is imported, anywhere in the file, also inside functions and under TYPE_CHECKING."""
        return list(self._python_imports() if self.is_python else self._cython_imports())

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def _absolute(self, where: str, level: int) -> str:
        if level == 0:
            return where
        package = self.path.split("/")[:-1]
        return ".".join([*package[: len(package) - level + 1], *([where] if where else [])])

    def _python_imports(self) -> Iterator[Import]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(node.lineno, alias.name, "")
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield Import(node.lineno, self._absolute(node.module or "", node.level), alias.name)

    def _cython_imports(self) -> Iterator[Import]:
        for match in _CIMPORT.finditer(self.text):
            line = self.text.count("\n", 0, match.start()) + 1
            names = [part.split()[0] for part in match["names"].strip(" ()").split(",") if part.strip(" ()")]
            where = match["where"]
            if where is None:
                yield from (Import(line, name, "") for name in names)
                continue
            level = len(where) - len(where.lstrip("."))
            yield from (Import(line, self._absolute(where.lstrip("."), level), name) for name in names)


class Tree:
    """All files of the package, and the names of its modules."""

    def __init__(self, files: list[File]) -> None:
        self.files = files
        self.modules = {file.module for file in files}
        self.paths = {file.path for file in files}
        #: (floor, folder on it)
        self.rooms = {(file.floor, file.room) for file in files if file.room}

    @property
    def python(self) -> list[File]:
        return [file for file in self.files if file.is_python]

    @property
    def cython(self) -> list[File]:
        return [file for file in self.files if not file.is_python]

    def target(self, entry: Import) -> str:
        """The module that an import reaches: ``from torana.wire import events`` reaches torana.wire.events."""
        inner = f"{entry.where}.{entry.name}"
        return inner if entry.name and inner in self.modules else entry.where


def read(root: Path = SOURCE) -> Tree:
    """Read the tree; what is not UTF-8 fails here."""
    paths = sorted([*root.joinpath("torana").rglob("*.py"), *root.joinpath("torana").rglob("*.pxd")])
    return Tree([File(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths])


def plant(files: dict[str, str]) -> Tree:
    """A small tree of made-up files (path below torana -> text), to show that a broken law is seen."""
    return Tree([File(f"torana/{path}", text) for path, text in files.items()])
