"""What a source file says about itself, read from its syntax tree: what it imports, binds, assigns and calls.

Nothing of it is run. What that means for serving it, ``recognise`` and ``find`` say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from msgspec import Struct, field

_LARGEST_BYTES = 4 * 1024 * 1024
_BLOCKS = (ast.If, ast.Try, ast.With, ast.AsyncWith, ast.For, ast.While)


class Source(Struct):
    """The facts of one file; all empty if there is none, or none that could be read."""

    #: Roots of the modules that are imported anywhere ("streamlit"), and at the top level of the file.
    imports: set[str] = field(default_factory=set)
    top_imports: set[str] = field(default_factory=set)
    #: Names that the top level binds, whatever to.
    bound: set[str] = field(default_factory=set)
    #: Names of functions and classes of the top level, and whether the function takes no argument.
    functions: dict[str, bool] = field(default_factory=dict)
    #: Names of the top level that are assigned the result of a call -> what was called, by its full name
    #: ("fastapi.FastAPI").
    made: dict[str, str] = field(default_factory=dict)
    #: Names that the top level assigns a plain text, or a list or tuple of them.
    texts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    #: What is called anywhere, by its full name as far as imports tell; methods as ".name". With its first line.
    calls: dict[str, int] = field(default_factory=dict)
    is_broken: bool = False


def read_text(path: str) -> str:
    """The text of a source file, or nothing if there is none that could be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def read(path: str) -> Source:
    """The facts of the file at ``path``."""
    return examine(read_text(path))


def examine(text: str) -> Source:
    """The facts of a source text. One that cannot be parsed binds whatever a glance finds."""
    source = Source()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        source.is_broken = True
        source.bound = set(re.findall(r"^(?:async\s+def\s+|def\s+|class\s+)?(\w+)\s*[=(:]", text, re.MULTILINE))
        source.top_imports = set(re.findall(r"^(?:import|from)\s+(\w+)", text, re.MULTILINE))
        source.imports = set(source.top_imports)
        return source
    names = _imported(tree, source)
    for statement in _top_level(tree.body):
        _note(statement, source, names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            source.calls.setdefault(_called(node.func, names), node.lineno)
    return source


def _imported(tree: ast.Module, source: Source) -> dict[str, str]:
    """Local names -> what they stand for ("pn" -> "panel")."""
    names: dict[str, str] = {}
    top = {id(node) for node in _top_level(tree.body)}
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(alias.name)
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
        roots = {name.partition(".")[0] for name in found}
        source.imports |= roots
        if id(node) in top:
            source.top_imports |= roots
    return names


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, also within branches; not those of ``if __name__ ==
    "__main__"``.
    """
    for node in body:
        if isinstance(node, ast.If) and is_main_guard(node):
            yield from _top_level(node.orelse)
            continue
        yield node
        if isinstance(node, _BLOCKS):
            yield from _top_level(node.body)
            yield from _top_level(getattr(node, "orelse", []))
        if isinstance(node, ast.Try):
            yield from _top_level(node.finalbody)
            for handler in node.handlers:
                yield from _top_level(handler.body)


def is_main_guard(node: ast.If) -> bool:
    """Whether a branch is ``if __name__ == "__main__"``."""
    test = node.test
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.ops[0], ast.Eq)
    )


def _note(node: ast.stmt, source: Source, names: dict[str, str]) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        source.bound.add(node.name)
        if not isinstance(node, ast.ClassDef):
            given = node.args
            least = len(given.posonlyargs) + len(given.args) - len(given.defaults)
            source.functions[node.name] = least == 0
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        source.bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if isinstance(item.optional_vars, ast.Name):
                _assign(item.optional_vars.id, item.context_expr, source, names)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                _assign(target.id, node.value, source, names)
            else:
                source.bound.update(name.id for name in ast.walk(target) if isinstance(name, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        if node.value is None:
            source.bound.add(node.target.id)
        else:
            _assign(node.target.id, node.value, source, names)


def _assign(name: str, value: ast.expr, source: Source, names: dict[str, str]) -> None:
    source.bound.add(name)
    if isinstance(value, ast.Await):
        value = value.value
    if isinstance(value, ast.Call):
        source.made[name] = _called(value.func, names)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        source.texts[name] = value.value
    elif isinstance(value, (ast.List, ast.Tuple)):
        source.lists[name] = [
            each.value for each in value.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]


def _called(node: ast.expr, names: dict[str, str]) -> str:
    """What is called: "fastapi.FastAPI"; ".servable" for a method of whatever; "" for what has no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and (node.id in names or not parts):
        return ".".join([names.get(node.id, node.id), *reversed(parts)])
    return "." + parts[0] if parts else ""
