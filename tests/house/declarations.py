"""Law C, its small print: what a ``.pxd`` says of a function's locals is of that function.

Cython passes over names that the function does not have, so a line that slipped to a neighbour costs its speed unseen.
"""

from __future__ import annotations

import ast
import re

from tests.house.tree import File, Tree

_CLASS = re.compile(r"cdef class (\w+)")
_LOCALS = re.compile(r"@cython\.locals\((?P<names>(?:[^()\"]|\"[^\"]*\")*)\)\s*(?P<rest>(?:@[^\n]*\n\s*)*[^\n]*)")
_NAME = re.compile(r"(\w+)\s*=")
_FUNCTION = re.compile(r"(\w+)\(")


def _functions(file: File) -> dict[str, set[str]]:
    """Qualified name of each function -> all names in it."""
    found: dict[str, set[str]] = {}

    def look(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                look(child, f"{child.name}.")
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names = {each.id for each in ast.walk(child) if isinstance(each, ast.Name)}
                found[owner + child.name] = names | {each.arg for each in ast.walk(child) if isinstance(each, ast.arg)}
            elif isinstance(child, (ast.If, ast.Try)):
                look(child, owner)

    look(file.tree, "")
    return found


def typed_locals(tree: Tree) -> list[str]:
    """Each name in ``@cython.locals`` is one of the function below it."""
    found = []
    sources = {file.path: file for file in tree.python}
    for file in tree.cython:
        source = sources.get(file.path[:-3] + "py")
        if source is None:
            continue
        functions = _functions(source)
        for match in _LOCALS.finditer(file.text):
            line = file.text.count("\n", 0, match.start()) + 1
            function = _FUNCTION.search(match["rest"])
            indented = file.text[: match.start()].rpartition("\n")[2]
            owners = _CLASS.findall(file.text[: match.start()]) if indented else []
            name = (f"{owners[-1]}." if owners else "") + (function[1] if function else "")
            if name not in functions:
                found.append(f"{file.path}:{line}: {name or 'nothing'} is no function of {source.path}")
                continue
            for local in _NAME.findall(re.sub(r'"[^"]*"', "", match["names"])):
                if local not in functions[name]:
                    found.append(f"{file.path}:{line}: {name} has no {local}")
    return found
