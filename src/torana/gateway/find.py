"""Which application is meant: from what the user typed (or nothing) to a module and a name in it, or to a program that
a product runs.

Looks at files and their syntax trees (``source``), never runs anything of the user's; that is ``load``.
"""

from __future__ import annotations

import os
import re

from msgspec import Struct

from torana.base.errors import LoadError
from torana.gateway.django_project import project_of
from torana.gateway.recognise import BOKEH, GRADIO, JUPYTER, PANEL, Recognised, application_of, recognise
from torana.gateway.source import Source, read, read_text

#: Names that are tried in a module, in this order.
NAMES = ("app", "application", "api", "asgi", "asgi_app", "wsgi", "wsgi_app", "server", "demo")
#: Names of functions that make an application, tried when nothing in the module is one.
FACTORIES = (
    "create_app", "make_app", "create_application", "make_application", "get_app", "get_application", "build_app",
    "app_factory", "application_factory", "init_app",
)  # fmt: skip
#: Files that are looked at when nothing was said, in this order.
FILES = (
    "main.py", "app.py", "application.py", "api.py", "asgi.py", "wsgi.py", "server.py", "streamlit_app.py",
)  # fmt: skip
#: Names that make a file of a searched directory the one that is meant; the others mean too many things.
_TELLING = (*NAMES[:7], "create_app", "make_app")
#: What ``--interface`` may say of a file instead of what it looks like.
PRODUCTS = ("streamlit", "gradio", "panel", "bokeh")

_TARGET = re.compile(r"(?P<module>[^:]+)(?::(?P<attribute>.+))?", re.DOTALL)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_JUPYTER = ("lab", "notebook", "server")


class Found(Struct, frozen=True):
    """An application to import.

    ``attribute`` is None where names are still to be tried. ``directory`` goes first on the import path.
    ``how`` says how it was found, as a clause.

    ``product``: not a module with an application in it but something that a product runs: "streamlit", "gradio",
    "panel", "bokeh" or "jupyter", else "". ``why`` then says how it was recognised, and ``path`` is the script or the
    directory (Jupyter's root). Of Jupyter, ``attribute`` is "lab", "notebook", "server" or None.
    """

    module: str
    attribute: str | None
    directory: str
    how: str
    product: str = ""
    path: str = ""
    why: str = ""

    @property
    def target(self) -> str:
        """As ``module:attribute``."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module


def find(target: str, app_dir: str | None = None, interface: str = "auto") -> Found:
    """What a target means; ``LoadError`` if it means nothing. Without a target the directory is searched.

    ``interface``: what the user says that it is; a file is not taken for something else then.
    """
    directory = os.path.abspath(app_dir or os.curdir)
    if not target:
        return search(directory, interface)
    if target.partition(":")[0] == JUPYTER and not _file_of(JUPYTER, directory):
        return _jupyter(target.partition(":")[2], directory)
    path = os.path.join(directory, target)
    if os.path.isdir(path) and not _file_of(target, directory):
        return _from_directory(os.path.normpath(path), interface)
    typed = _TARGET.fullmatch(target)
    if typed is None:
        raise LoadError(f"{target!r} is no application; write module:attribute, module or FILE.py")
    module, attribute = typed["module"], typed["attribute"]
    if module.endswith(".ipynb"):
        return _from_notebook(module, directory, interface)
    if module.endswith(".py") or "/" in module:
        return _from_file(module, attribute, directory, interface=interface)
    if not _DOTTED.fullmatch(module):
        raise LoadError(f"{module!r} is not the name of a module; write module:attribute, module or FILE.py")
    found = Found(module, attribute, directory, "as told")
    return _judged(found, _file_of(module, directory), interface)


def search(directory: str, interface: str = "auto") -> Found:
    """The application of a directory: a Django project, a script of a product, or one of the usual files that binds a
    usual name.
    """
    project = project_of(directory)
    if project is not None:
        return Found(project.module, project.attribute, directory, project.why)
    for folder in ("", "app", "src"):
        for name in FILES:
            path = os.path.join(directory, folder, name)
            if not os.path.isfile(path):
                continue
            how = f"found in {os.path.join(folder, name)}"
            source = read(path)
            if interface == "auto" and recognise(source) is not None:
                return _from_file(path, None, directory, how)
            attribute = application_of(source)
            if attribute not in _TELLING:
                attribute = next((each for each in _TELLING if each in source.bound), "")
            if attribute:
                return _from_file(path, attribute, directory, how, interface)
    raise LoadError(
        f"no application found in {directory}: no app in torana.toml or [tool.torana] of pyproject.toml, no Django "
        f"project (manage.py), and none of {', '.join(FILES)} (here, in app/ or in src/) has one of the names "
        f"{', '.join(_TELLING)}\nName it: torana module:attribute, or torana FILE.py"
    )


def _from_directory(directory: str, interface: str) -> Found:
    """A directory that was named: a program of Bokeh or Panel with its files around it, or one to be searched."""
    main = os.path.join(directory, "main.py")
    recognised = _recognised(read(main), interface)
    if recognised is not None and recognised.product in (BOKEH, PANEL):
        return Found("main", None, directory, "as told", recognised.product, directory, f"main.py: {recognised.why}")
    return search(directory, interface)


def _from_file(
    path: str, attribute: str | None, directory: str, how: str = "as told", interface: str = "auto"
) -> Found:
    """A file as a module: its package is the chain of folders with an ``__init__.py`` above it."""
    path = os.path.normpath(os.path.join(directory, path))
    if not os.path.isfile(path):
        raise LoadError(f"there is no file {path}")
    parent, name = os.path.split(path)
    if name == "manage.py" and attribute is None:
        project = project_of(parent)
        if project is not None:
            return Found(project.module, project.attribute, parent, project.why)
    parts = [] if name == "__init__.py" else [name.removesuffix(".py")]
    while os.path.isfile(os.path.join(parent, "__init__.py")):
        parent, package = os.path.split(parent)
        parts.insert(0, package)
    found = _judged(Found(".".join(parts), attribute, parent, how), path, interface)
    # A product runs the file itself, whatever it is called: "1_Home.py" is a page like others.
    if not found.product and not _DOTTED.fullmatch(found.module):
        raise LoadError(f"{path} cannot be imported: {found.module!r} is not the name of a module")
    return found


def _from_notebook(path: str, directory: str, interface: str) -> Found:
    """A notebook is served by Panel when it shows something; to edit it takes Jupyter."""
    path = os.path.normpath(os.path.join(directory, path))
    if not os.path.isfile(path):
        raise LoadError(f"there is no file {path}")
    product = interface if interface in (PANEL, BOKEH) else PANEL if ".servable(" in read_text(path) else ""
    if not product and "curdoc(" in read_text(path):
        product = BOKEH
    if not product:
        raise LoadError(
            f"{path} is a notebook that shows nothing by itself (no .servable()); to edit it, run: torana jupyter"
        )
    name = os.path.basename(path).removesuffix(".ipynb")
    return Found(name, None, os.path.dirname(path), "as told", product, path, f"a notebook that {product} shows")


def _jupyter(program: str, directory: str) -> Found:
    if program and program not in _JUPYTER:
        raise LoadError(f"there is no jupyter:{program}; write jupyter, or jupyter: with {', '.join(_JUPYTER)}")
    return Found(JUPYTER, program or None, directory, "as told", JUPYTER, directory, "the target says so")


def _judged(found: Found, path: str, interface: str) -> Found:
    """What was found, with the product that runs its file, if one does.

    A name that was given says what is meant, and so does ``--interface``; but Gradio's scripts also serve themselves,
    and are imported with care even then.
    """
    if not path:
        return found
    recognised = _recognised(read(path), interface)
    if recognised is None or (found.attribute is not None and recognised.product != GRADIO):
        return found
    why = f"{os.path.basename(path)}: {recognised.why}"
    return Found(found.module, found.attribute, found.directory, found.how, recognised.product, path, why)


def _recognised(source: Source, interface: str) -> Recognised | None:
    if interface in PRODUCTS:
        return Recognised(interface, "--interface says so")
    return recognise(source) if interface == "auto" else None


def _file_of(module: str, directory: str) -> str:
    """The file of a module under a directory, or ""."""
    base = os.path.join(directory, *module.split("."))
    for path in (base + ".py", os.path.join(base, "__init__.py")):
        if os.path.isfile(path):
            return path
    return ""
