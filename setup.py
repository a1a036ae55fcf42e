"""Build script: Cython compiles every ``.py`` under ``src/torana`` that has a ``.pxd`` beside it.

All of them or none: a tree is compiled or it is pure, never half of each.

``TORANA_PURE=1`` compiles nothing. A machine without a compiler or Python's headers gets the pure build and is told why
(lines that begin with ``torana-build:``; pip shows them with ``-v``). ``TORANA_BUILD_STRICT=1`` makes a failure of the
compilation itself, on a machine that has all it needs, an error: for developers and for whoever makes wheels. So does
``python setup.py build_ext``, which asks for nothing but the compiled modules.

``TORANA_SANITIZE=address,undefined`` compiles with these sanitizers, for ``make test-sanitize`` alone: what it gives
runs only where their libraries are loaded first (docs/security/fuzzing.md).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "boundscheck": True,
    "wraparound": False,
    "nonecheck": True,
    "initializedcheck": False,
    # Nothing of ours is pickled, and what is generated for it is a tenth of the C.
    "auto_pickle": False,
}

# Later flags win over those Python itself was built with: no debug information, which triples build time and size.
COMPILE_ARGS = ["-O2", "-g0", "-fvisibility=hidden"]
# Where the compiler knows it: calls into Python without a jump by way of a table.
WELCOME_ARGS = ["-fno-plt"]

#: Names of sanitizers (gcc's and clang's ``-fsanitize``), or "" for a build that anybody may use.
SANITIZE = os.environ.get("TORANA_SANITIZE", "")

# Commands that want compiled modules; the others (egg_info, sdist, ...) must not pay for them.
BUILD_COMMANDS = {"bdist_wheel", "build", "build_ext", "develop", "editable_wheel", "install"}

IS_STRICT = os.environ.get("TORANA_BUILD_STRICT") == "1" or "build_ext" in sys.argv

HOW_TO_INSTALL = (
    "  Debian, Ubuntu:  apt install gcc libc6-dev python3-dev",
    "  Fedora, RHEL:    dnf install gcc python3-devel",
    "  Alpine:          apk add gcc musl-dev python3-dev",
    "  macOS:           xcode-select --install",
)


def say(*lines: str) -> None:
    """Print lines that the Makefile (and a reader of ``pip install -v``) can find again."""
    for line in lines:
        print(f"torana-build: {line}", file=sys.stderr, flush=True)


def compiles(command: list[str], source: str, *flags: str) -> bool:
    """Whether the compiler ``command`` turns ``source`` into an object file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.c")
        path.write_text(source)
        whole = [*command, *flags, "-c", str(path), "-o", str(path.with_suffix(".o"))]
        try:
            return subprocess.run(whole, capture_output=True, timeout=60).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False


def compiler() -> list[str]:
    """The command of the C compiler."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def what_is_missing() -> str | None:
    """Name what this machine lacks for the compiled build, or None."""
    try:
        import Cython  # noqa: F401
    except ImportError:
        return "Cython is not installed (it comes by itself unless build isolation is off)"
    command = compiler()
    includes = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    if compiles(command, "#include <Python.h>\nint probe;\n", *(f"-I{path}" for path in includes)):
        return None
    if not compiles(command, "int probe;\n"):
        return f"no working C compiler (tried {shlex.join(command)!r})"
    if not compiles(command, "#include <stdlib.h>\nint probe;\n"):
        return "the C library's headers (stdlib.h) are not installed"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"the headers of Python {version} (Python.h) are not in {sysconfig.get_path('include')}"


def sanitize_args(command: list[str]) -> list[str]:
    """Flags for compiling and linking with the sanitizers; a finding ends the process."""
    flags = [f"-fsanitize={SANITIZE}", f"-fno-sanitize-recover={SANITIZE}", "-fno-omit-frame-pointer"]
    for flag in (
        # Python's own flags say that signed numbers wrap around; then nobody is told of those that do.
        "-fno-wrapv",
        # CPython calls every C function of one or two arguments through a pointer to another kind (METH_NOARGS, ...).
        "-fno-sanitize=function",
        # clang links its library into each module unless told otherwise; gcc does not know the flag.
        "-shared-libasan",
    ):
        if compiles(command, "int probe;\n", f"-fsanitize={SANITIZE}", flag, "-Werror"):
            flags.append(flag)
    return flags


def go_pure(reason: str, *advice: str) -> None:
    """Say why this build is pure, and what would change it."""
    say(f"THE PURE PYTHON BUILD OF TORANA IS USED: {reason}.", "It does all the compiled build does, slower.", *advice)


def extensions() -> list[Extension]:
    """The modules to compile, already translated to C; none when this is to be the pure build."""
    if os.environ.get("TORANA_PURE") == "1":
        return []
    missing = what_is_missing()
    if missing is not None:
        go_pure(missing, "For the compiled build install what is missing, then torana again:", *HOW_TO_INSTALL)
        return []
    from Cython.Build import cythonize

    compile_args = [*COMPILE_ARGS, *(flag for flag in WELCOME_ARGS if compiles(compiler(), "int probe;\n", flag))]
    link_args: list[str] = []
    if SANITIZE:
        link_args = sanitize_args(compiler())
        compile_args = ["-O1", "-g1", "-fvisibility=hidden", *link_args]
    sources = sorted(path.with_suffix(".py") for path in Path("src/torana").rglob("*.pxd"))
    modules = [
        Extension(
            ".".join(path.relative_to("src").with_suffix("").parts),
            [str(path)],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
        for path in sources
        if path.exists() and path.name != "__init__.py"
    ]
    try:
        translated: list[Extension] = cythonize(
            modules, compiler_directives=DIRECTIVES, build_dir="build/cython", nthreads=os.cpu_count() or 1
        )
    except Exception as problem:
        compilation_failed("Cython", problem)
        return []
    return translated


def compilation_failed(tool: str, problem: Exception) -> None:
    """Fall back to the pure build, or fail when that is asked for."""
    reason = f"{tool} failed ({type(problem).__name__}: {str(problem).strip() or 'see above'})"
    if IS_STRICT:
        raise SystemExit(f"torana-build: {reason}") from None
    go_pure(reason)


class BuildAllOrNone(build_ext):
    """Compiles into a folder of its own, kept for the next time, and takes the modules over when all are there."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count() or 1
        if SANITIZE and not self.build_temp.endswith("-sanitize"):
            # What was compiled with other flags may not be taken for ours.
            self.build_temp += "-sanitize"

    def run(self) -> None:
        wanted, self.build_lib = self.build_lib, str(Path(self.build_temp, "modules"))
        try:
            super().run()  # With --inplace this copies into src, again only when all are there.
            built = [self.get_ext_fullpath(extension.name) for extension in self.extensions] if not self.inplace else []
            made_in = self.build_lib
        except Exception as problem:
            compilation_failed("the C compiler", problem)
            self.extensions = []
            return
        finally:
            self.build_lib = wanted
        for path in built:
            target = Path(wanted, Path(path).relative_to(made_in))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


# The guard matters: Cython's worker processes may import this file again.
if __name__ == "__main__":
    setup(
        ext_modules=extensions() if BUILD_COMMANDS & set(sys.argv) else [],
        cmdclass={"build_ext": BuildAllOrNone},
    )
