"""``python -m tests.fuzz.sanitizers COMMAND...``: a Python command in the build of ``TORANA_SANITIZE`` (setup.py), with
the sanitizers' libraries loaded first; ``--check`` proves beforehand that they find what is to be found.

A finding ends the process with a report. Leaks are not looked for: at its end Python leaves what it made. Python's own
allocator would hide what is read beyond an object, so every object is allocated by itself.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

#: A module with one fault a function: (call, what the report must say); the last is none.
_SOURCE = """
from libc.stdlib cimport malloc, free
def beyond(int size, int place):
    cdef char* room = <char*>malloc(size)
    room[0] = 1
    cdef int found = room[place]
    free(room)
    return found
def bytes_beyond(bytes data, int place):
    cdef const unsigned char* raw = data
    return raw[place]
def overflow(int number, int more):
    cdef int total = number + more
    return total
def shift(int number, int places):
    cdef int shifted = number << places
    return shifted
"""
_FAULTS = (
    ("beyond(16, 16)", "heap-buffer-overflow"),
    ("bytes_beyond(b'a' * 100, 140)", "heap-buffer-overflow"),
    ("overflow(2**31 - 1, 1)", "signed integer overflow"),
    ("shift(1, 40)", "shift exponent"),
    ("print(beyond(16, 0), bytes_beyond(b'abc', 2), overflow(1, 1), shift(1, 3))", ""),
)
_BUILD = """
import sys
sys.path.insert(0, {root!r})
from setuptools import Extension, setup
from Cython.Build import cythonize
import importlib.util
spec = importlib.util.spec_from_file_location("our_setup", {root!r} + "/setup.py")
ours = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ours)
flags = ours.sanitize_args(ours.compiler())
module = Extension("faulty", ["faulty.pyx"], extra_compile_args=["-O1", *flags], extra_link_args=flags)
setup(name="faulty", ext_modules=cythonize([module], language_level=3), script_args=["-q", "build_ext", "--inplace"])
"""


def libraries() -> list[str]:
    """The sanitizers' libraries of the compiler, which must be loaded before all others."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    found = []
    for name in ("libasan.so", "libubsan.so"):
        path = subprocess.run([*compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        if not os.path.isabs(path):
            raise SystemExit(f"{compiler[0]} has no {name}: install it (Debian: libasan8 libubsan1, with gcc)")
        found.append(os.path.realpath(path))
    return found


def environment() -> dict[str, str]:
    """What a process in the sanitized build needs. Reports go to the standard error: pytest may not keep it."""
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries()),
        "PYTHONMALLOC": "malloc",
        # Room for a test that limits its own memory cannot be told from none: the shadow alone is many terabytes.
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=99:allocator_may_return_null=1:handle_segv=0:handle_sigbus=0:"
        "handle_sigfpe=0:handle_sigill=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    }


def check() -> None:
    """Compile a module with faults, and see that each is found and that there is no false one."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "faulty.pyx").write_text(_SOURCE)
        Path(folder, "build.py").write_text(_BUILD.format(root=str(ROOT)))
        subprocess.run([sys.executable, "build.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for call, report in _FAULTS:
            command = [sys.executable, "-c", f"from faulty import *; {call}"]
            done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
            if report and (done.returncode == 0 or report not in done.stderr):
                raise SystemExit(f"the sanitizers did not find {report} in {call}: {done.stderr}")
            if not report and done.returncode != 0:
                raise SystemExit(f"the sanitizers found something where there is nothing: {done.stderr}")
    print(f"The sanitizers find what they should: {', '.join(sorted({report for _, report in _FAULTS if report}))}.")


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--check"]:
        check()
        arguments = arguments[1:]
    if arguments:
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *arguments], environment())


if __name__ == "__main__":
    main()
