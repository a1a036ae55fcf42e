"""Law E: what is legal stands in one ``states.py`` per language; all others import its states and ask it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house.tree import File, Tree

#: The languages, and the file whose presence means that the language is spoken.
LANGUAGES = {
    "wire/http1": "connection.py",
    "wire/http2": "connection.py",
    "wire/websocket": "connection.py",
    "exchange": "response.py",
}

#: What a table of transitions can be written as.
_TABLES = (ast.Dict, ast.List, ast.Tuple, ast.Set)
#: So many states side by side are a table, not a question.
_TABLE_SIZE = 4


def _constants(tree: ast.Module) -> dict[str, int]:
    """ALL_CAPS names given a value at the top of a file or in a class body, with their lines; private ones too."""
    found: dict[str, int] = {}
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    for statement in (line for body in bodies for line in body):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper():
                found[target.id] = statement.lineno
    return found


def _states(tree: Tree) -> dict[str, set[str]]:
    """Names of the states that each language's ``states.py`` defines."""
    by_language = {}
    for language in LANGUAGES:
        for file in tree.python:
            if file.path == f"torana/{language}/states.py":
                by_language[language] = {name for name in _constants(file.tree) if not name.startswith("_")}
    return by_language


def _language(file: File) -> str:
    return next((name for name in LANGUAGES if file.path.startswith(f"torana/{name}/")), "")


def _state_names(node: ast.AST, states: set[str]) -> set[str]:
    names = {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
    names |= {child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)}
    return names & states


def _is_state(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in ("state", "_state") or name.endswith("_state")


def _literal_states(file: File) -> Iterator[int]:
    """Lines where a state is set to, or compared with, a bare number or word: a state nobody can ask about."""
    for node in ast.walk(file.tree):
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Compare):
            pairs = [(node.left, other) for other in node.comparators]
        for left, right in pairs:
            if _is_state(left) and isinstance(right, ast.Constant) and isinstance(right.value, (int, str)):
                yield node.lineno


def law_e(tree: Tree) -> list[str]:
    """Each spoken language has its states.py; no other file defines its states or a table of them."""
    found = []
    for language, mark in LANGUAGES.items():
        if f"torana/{language}/{mark}" in tree.paths and f"torana/{language}/states.py" not in tree.paths:
            found.append(f"torana/{language}: has no states.py")
    states = _states(tree)
    for file in tree.python:
        language = _language(file)
        if not language or file.path.endswith("/states.py"):
            continue
        own = states.get(language, set())
        for name, line in _constants(file.tree).items():
            if name in own:
                found.append(f"{file.path}:{line}: defines the state {name} again")
        found += [f"{file.path}:{line}: a state that states.py does not name" for line in _literal_states(file)]
        for node in ast.walk(file.tree):
            if isinstance(node, _TABLES) and len(_state_names(node, own)) >= _TABLE_SIZE:
                found.append(f"{file.path}:{node.lineno}: a table of states outside states.py")
    return found
