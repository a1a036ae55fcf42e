"""Which application a Django project has: from its manage.py to its settings to the module that they name.

Reads syntax trees; neither Django nor the settings are imported.
"""

from __future__ import annotations

import ast
import os
import re

from msgspec import Struct, field

from torana.gateway.source import read_text

_NAMED = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*(?:,|\]\s*=)\s*["']([\w.]+)["']""")
#: What a project installs that cannot be served by WSGI.
_NEEDS_ASGI = ("channels", "daphne")
#: Settings that take theirs from others, which take theirs from others.
_DEEPEST = 5


class Project(Struct, frozen=True):
    """The application of a project: its module and name, and why it is that."""

    module: str
    attribute: str
    why: str


class _Settings(Struct):
    texts: dict[str, str] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)


class Facts(Struct, frozen=True):
    """What a project's settings say: their name, its package, plain texts, and what it installs that needs ASGI."""

    settings: str
    package: str
    texts: dict[str, str]
    needs_asgi: str


def read_project(directory: str) -> Facts | None:
    """The facts of the project whose manage.py is in ``directory``; None if there is none."""
    named = _NAMED.search(read_text(os.path.join(directory, "manage.py")))
    if named is None:
        return None
    settings = _Settings()
    _read(directory, named[1], settings, 0)
    needed = next((each for each in _NEEDS_ASGI if each in settings.installed), "")
    return Facts(named[1], named[1].partition(".")[0], settings.texts, needed)


def project_of(directory: str) -> Project | None:
    """The application of the project whose manage.py is in ``directory``; None if there is none."""
    facts = read_project(directory)
    if facts is None:
        return None
    name, package, texts, needed = facts.settings, facts.package, facts.texts, facts.needs_asgi
    told = texts.get("ASGI_APPLICATION")
    if told:
        return _as_named(told, f"the ASGI_APPLICATION of {name}, named by manage.py")
    if needed and _has(directory, package, "asgi"):
        return Project(f"{package}.asgi", "application", f"{name}, named by manage.py, installs {needed}")
    told = texts.get("WSGI_APPLICATION")
    if told:
        return _as_named(told, f"the WSGI_APPLICATION of {name}, named by manage.py")
    for module in ("asgi", "wsgi"):
        if _has(directory, package, module):
            return Project(f"{package}.{module}", "application", "the Django project of manage.py")
    return None


def _as_named(target: str, why: str) -> Project | None:
    module, _, attribute = target.rpartition(".")
    return Project(module, attribute, why) if module else None


def _has(directory: str, package: str, module: str) -> bool:
    return os.path.isfile(os.path.join(directory, package, module + ".py"))


def _read(directory: str, name: str, settings: _Settings, depth: int) -> None:
    """What a settings module says, after what those say that it takes everything from."""
    base = os.path.join(directory, *name.split("."))
    is_package = not os.path.isfile(base + ".py")
    text = read_text(os.path.join(base, "__init__.py") if is_package else base + ".py")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*" and depth < _DEEPEST:
            above = name.split(".")
            if node.level:
                above = above[: len(above) - node.level + is_package]
            else:
                above = []
            other = ".".join([*above, *([node.module] if node.module else [])])
            if other:
                _read(directory, other, settings, depth + 1)
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            _note(node, settings)


def _note(node: ast.Assign | ast.AugAssign, settings: _Settings) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if not isinstance(target, ast.Name):
            continue
        if target.id == "INSTALLED_APPS":
            # Whatever it is made of: lists, sums of lists, branches.
            texts = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            settings.installed |= {str(text).partition(".")[0] for text in texts}
        elif isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            settings.texts[target.id] = node.value.value
