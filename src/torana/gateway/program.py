"""What a hosted program sees of the world: its own command line and variables, not the server's.

The only place outside ``config`` that touches ``sys.argv`` and the environment: it writes them, for a script or a
product that reads them, and asks them nothing. Never here: importing (``load``).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence


@contextlib.contextmanager
def as_program(path: str, arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """While the block runs, ``sys.argv`` and the directory first on the import path are those of the program ``path``
    called with ``arguments``; variables of ``environ`` are set. The command line and the variables are as they were
    afterwards; the import path is not, for the program may import more later.
    """
    before, variables = sys.argv, {name: os.environ.get(name) for name in environ or {}}
    be_program(path, arguments, environ)
    try:
        yield
    finally:
        sys.argv = before
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def be_program(path: str, arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
    """The same for good: for scripts that run again and again, such as Streamlit's."""
    sys.argv = [path, *arguments]
    directory = path if os.path.isdir(path) else os.path.dirname(path)
    if directory and directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    os.environ.update(environ or {})


def set_defaults(environ: Mapping[str, str]) -> None:
    """Set variables for good that nobody has set."""
    for name, value in environ.items():
        os.environ.setdefault(name, value)


def variable(name: str) -> str | None:
    """A variable that belongs to the product and not to this server (STREAMLIT_..., GRADIO_...), which has it mapped by
    its own command that is not used here.
    """
    return os.environ.get(name)


def variables(prefix: str) -> dict[str, str]:
    """All variables of a product, by their prefix ("STREAMLIT_")."""
    return {name: value for name, value in os.environ.items() if name.startswith(prefix)}
