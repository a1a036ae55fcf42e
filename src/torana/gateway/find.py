"""Which application is meant: from what the user typed (or nothing) to a module and a name in it.

Looks at files and their syntax trees, never runs anything of the user's; that is ``load``.
"""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass

from torana.base.errors import LoadError

#: Names that are tried in a module, in this order.
NAMES = ("app", "application", "api", "asgi", "wsgi", "create_app")
#: Files that are looked at when nothing was said, in this order.
FILES = ("main.py", "app.py", "application.py", "api.py", "asgi.py", "wsgi.py", "server.py")

_TARGET = re.compile(r"(?P<module>[^:]+)(?::(?P<attribute>.+))?", re.DOTALL)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_LARGEST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """An application to import.

    ``attribute`` is None where names are still to be tried. ``directory`` goes first on the import path.
    ``how`` says how it was found, as a clause.
    """

    module: str
    attribute: str | None
    directory: str
    how: str

    @property
    def target(self) -> str:
        """As ``module:attribute``."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module


def find(target: str, app_dir: str | None = None) -> Found:
    """What a target means; ``LoadError`` if it means nothing. Without a target the directory is searched."""
    directory = os.path.abspath(app_dir or os.curdir)
    if not target:
        return search(directory)
    typed = _TARGET.fullmatch(target)
    if typed is None:
        raise LoadError(f"{target!r} is no application; write module:attribute, module or FILE.py")
    module, attribute = typed["module"], typed["attribute"]
    if module.endswith(".py") or "/" in module:
        return _from_file(module, attribute, directory)
    if not _DOTTED.fullmatch(module):
        raise LoadError(f"{module!r} is not the name of a module; write module:attribute, module or FILE.py")
    return Found(module, attribute, directory, "as told")


def search(directory: str) -> Found:
    """The application of a directory: a Django project, or one of the usual files that binds a usual name."""
    if os.path.isfile(os.path.join(directory, "manage.py")):
        found = _from_manage(directory)
        if found is not None:
            return found
    for folder in ("", "app", "src"):
        for name in FILES:
            path = os.path.join(directory, folder, name)
            bound = _bound_names(path)
            attribute = next((each for each in NAMES if each in bound), None)
            if attribute is not None:
                return _from_file(path, attribute, directory, f"found in {os.path.join(folder, name)}")
    raise LoadError(
        f"no application found in {directory}: no app in torana.toml or [tool.torana] of pyproject.toml, no Django "
        f"project (manage.py), and none of {', '.join(FILES)} (here, in app/ or in src/) has one of the names "
        f"{', '.join(NAMES)}\nName it: torana module:attribute, or torana FILE.py"
    )


def _from_file(path: str, attribute: str | None, directory: str, how: str = "as told") -> Found:
    """A file as a module: its package is the chain of folders with an ``__init__.py`` above it."""
    path = os.path.normpath(os.path.join(directory, path))
    if not os.path.isfile(path):
        raise LoadError(f"there is no file {path}")
    parent, name = os.path.split(path)
    parts = [] if name == "__init__.py" else [name.removesuffix(".py")]
    while os.path.isfile(os.path.join(parent, "__init__.py")):
        parent, package = os.path.split(parent)
        parts.insert(0, package)
    module = ".".join(parts)
    if not _DOTTED.fullmatch(module):
        raise LoadError(f"{path} cannot be imported: {module!r} is not the name of a module")
    return Found(module, attribute, parent, how)


def _from_manage(directory: str) -> Found | None:
    """The application of a Django project, from the settings that its manage.py names."""
    source = _source(os.path.join(directory, "manage.py"))
    settings = re.search(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""", source)
    if settings is None:
        return None
    base = os.path.join(directory, *settings[1].split("."))
    named = _assigned_texts(_source(base + ".py") or _source(os.path.join(base, "__init__.py")))
    for setting in ("ASGI_APPLICATION", "WSGI_APPLICATION"):
        if setting in named:
            module, _, attribute = named[setting].rpartition(".")
            return Found(module, attribute, directory, f"the {setting} of {settings[1]}, named by manage.py")
    package = settings[1].partition(".")[0]
    for module in ("asgi", "wsgi"):
        if os.path.isfile(os.path.join(directory, package, module + ".py")):
            return Found(f"{package}.{module}", "application", directory, "the Django project of manage.py")
    return None


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _assigned_texts(source: str) -> dict[str, str]:
    """The names that a module binds to plain texts."""
    return {
        target.id: node.value.value
        for node in _tree(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _bound_names(path: str) -> set[str]:
    """The names that a file binds at its top level. A file that cannot be parsed binds whatever a glance finds."""
    source = _source(path)
    if not source:
        return set()
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return set(re.findall(r"^(?:async\s+def\s+|def\s+|class\s+)?(\w+)\s*[=(:]", source, re.MULTILINE))
    names: set[str] = set()
    while body:
        node = body.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            body += node.body + list(getattr(node, "orelse", []))
        elif isinstance(node, ast.Assign):
            names.update(name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def _source(path: str) -> str:
    """The text of a source file, or nothing if there is none that could be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""
