"""Law D: the environment, user code, processes, and the terminal each have one place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from tests.house.tree import File, Tree


@dataclass(frozen=True)
class Place:
    """What may be done in one place only: dotted names (used or imported) and bare calls."""

    what: str
    where: tuple[str, ...]
    names: frozenset[str]
    calls: frozenset[str] = frozenset()


def _words(prefix: str, words: str) -> set[str]:
    return {f"{prefix}.{word}" for word in words.split()}


EXEC = "execl execle execlp execlpe execv execve execvp execvpe"
SPAWN = "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe posix_spawn posix_spawnp"

PLACES = (
    Place(
        "the environment and argv are read only in config, and given to a hosted program only in gateway/program.py",
        ("torana/config/", "torana/gateway/program.py"),
        frozenset(_words("os", "environ environb getenv getenvb putenv unsetenv") | _words("sys", "argv orig_argv")),
    ),
    Place(
        "user code is imported only in gateway/load.py",
        ("torana/gateway/load.py",),
        frozenset(
            _words("importlib", "import_module reload")
            | _words("importlib.util", "spec_from_file_location spec_from_loader module_from_spec")
            | _words("importlib.machinery", "SourceFileLoader SourcelessFileLoader")
            | {"runpy", "imp", "pydoc.locate", "pkgutil.resolve_name"}
        ),
        frozenset({"exec", "eval", "compile", "__import__"}),
    ),
    Place(
        "fork, exec and kill happen only in process",
        ("torana/process/",),
        frozenset(
            _words("os", f"fork forkpty kill killpg system popen _exit abort {EXEC} {SPAWN}")
            | _words("signal", "raise_signal pthread_kill pidfd_send_signal")
            | _words("asyncio", "create_subprocess_exec create_subprocess_shell")
            | {"subprocess", "multiprocessing", "pty", "concurrent.futures.ProcessPoolExecutor"}
        ),
    ),
    Place(
        "printing and exiting happen only in cli",
        ("torana/cli/",),
        frozenset({"sys.exit", "traceback.print_exc", "traceback.print_exception", "pprint.pprint"}),
        frozenset({"print", "exit", "quit", "input", "SystemExit", "breakpoint"}),
    ),
)


def _dotted(node: ast.expr) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _uses(file: File) -> list[tuple[int, str]]:
    """Every dotted name in the file, as its module is really called: ``import os as o; o.fork`` is os.fork."""
    real: dict[str, str] = {}
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            real.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            real.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    uses = [(entry.line, f"{entry.where}.{entry.name}" if entry.name else entry.where) for entry in file.imports]
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Attribute) and (dotted := _dotted(node)):
            first, _, rest = dotted.partition(".")
            uses.append((node.lineno, f"{real.get(first, first)}.{rest}"))
    return uses


def _is_named(use: str, names: frozenset[str]) -> bool:
    return use in names or any(use.startswith(name + ".") for name in names)


def _called(file: File) -> list[tuple[int, str]]:
    calls = [(call.lineno, call.func.id) for call in file.calls() if isinstance(call.func, ast.Name)]
    raised = [
        (node.lineno, node.exc.id)
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name)
    ]
    return calls + raised


def law_d(tree: Tree, places: tuple[Place, ...] = PLACES) -> list[str]:
    """What each place alone may do is done nowhere else."""
    found: set[str] = set()
    for file in tree.python:
        uses, called = _uses(file), _called(file)
        for place in places:
            if file.path.startswith(place.where):
                continue
            report: Callable[[int, str], None] = lambda line, name, f=file, p=place: found.add(  # noqa: E731
                f"{f.path}:{line}: {name}, but {p.what}"
            )
            for line, use in uses:
                if _is_named(use, place.names):
                    report(line, use)
            for line, name in called:
                if name in place.calls:
                    report(line, name)
    return sorted(found)
