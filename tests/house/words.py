"""House rules about words: what hostile text may not be given to, what files are called, how long they are."""

from __future__ import annotations

import ast
import re

from tests.house.tree import Tree

#: Floors, rooms and files whose every input was written by a stranger.
HOSTILE = (
    *("torana/wire/", "torana/base/", "torana/exchange/"),
    *("torana/gateway/asgi/describe.py", "torana/gateway/wsgi/describe.py", "torana/gateway/wsgi/body.py"),
    *("torana/serve/forwarded.py", "torana/serve/origins.py", "torana/serve/proxied.py", "torana/serve/handshake.py"),
)

#: These take more than ASCII for whitespace, digits or line ends.
NEVER = frozenset("splitlines isdigit isdecimal isnumeric isspace isalpha isalnum isprintable casefold".split())
#: These do so unless they are told which bytes to look for.
WITH_ARGUMENT = frozenset("strip lstrip rstrip split rsplit".split())
#: These read signs, underscores, spaces and foreign digits.
NUMBERS = frozenset({"int", "float", "complex"})
#: Says that the digits were looked at one by one before.
CHECKED = "# ASCII digits"

MOST_LINES = 450
BANNED = frozenset("util utils helper helpers common misc manager managers impl core".split())


def hostile_text(tree: Tree) -> list[str]:
    """No call that knows other whitespace, digits or line ends than the protocol's (threat G-023)."""
    found = []
    for file in tree.python:
        if not file.path.startswith(HOSTILE):
            continue
        lines = file.text.splitlines()
        # Tables made at import time are our own text.
        functions = [node for node in ast.walk(file.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        calls = {node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)}
        for call in sorted(calls, key=lambda call: call.lineno):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            blind = not call.args or (isinstance(call.args[0], ast.Constant) and call.args[0].value is None)
            if name in NEVER or (name in WITH_ARGUMENT and blind):
                found.append(f"{file.path}:{call.lineno}: .{name}() knows more than ASCII")
            number = call.func.id if isinstance(call.func, ast.Name) and call.func.id in NUMBERS else ""
            if number and not any(CHECKED in line for line in lines[max(0, call.lineno - 2) : call.lineno]):
                found.append(f'{file.path}:{call.lineno}: {number}() without "{CHECKED}" behind or above it')
    return found


def names(tree: Tree) -> list[str]:
    """A file is the one thing it is called."""
    found = []
    for file in tree.files:
        for part in file.path.rsplit(".", 1)[0].split("/"):
            if BANNED & set(part.split("_")):
                found.append(f"{file.path}: {part} names nothing")
    return found


def sizes(tree: Tree) -> list[str]:
    """Past that, a file holds two rooms."""
    counts = [(file.path, file.text.count("\n")) for file in tree.files]
    return [f"{path}: {count} lines" for path, count in counts if count > MOST_LINES]


def signs(tree: Tree) -> list[str]:
    """Every file opens with a sign: a docstring of at least one sentence."""
    found = []
    for file in tree.python:
        docstring = ast.get_docstring(file.tree)
        if not docstring or not re.search(r"\w{2,}.*[.:]", docstring):
            found.append(f"{file.path}: has no sign")
    return found
