"""How this program was started, so that it can be started again as it was typed (USR2): words, variables, directory.

Never here: starting it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence

from torana.process.options import HANDOFF_VARIABLE, Program

#: As much of a script as says who executes it.
_HEAD_BYTES = 4096


def this_program(environ: Mapping[str, str]) -> Program:
    """This program; ``environ`` as it was before anything was added to it."""
    words = as_typed(sys.orig_argv)
    variables = tuple((name, value) for name, value in environ.items() if name != HANDOFF_VARIABLE)
    return Program(words, variables, _directory(environ))


def as_typed(words: Sequence[str]) -> tuple[str, ...]:
    """The words without an interpreter that nobody typed.

    A script (``/srv/site/venv/bin/torana``) names its interpreter in its first line, which the kernel reads again when
    the script is executed: if the script has become another one, so has the interpreter.
    """
    place = 2 if len(words) > 2 and words[1].startswith("-") and words[1] not in ("-m", "-c") else 1
    if len(words) > place and not words[place].startswith("-") and _executes(words[place], words[0]):
        return tuple(words[place:])
    return tuple(words)


def _executes(script: str, interpreter: str) -> bool:
    """Whether a file is a script that is executed by an interpreter of this name."""
    try:
        with open(script, "rb") as file:
            head = os.fsdecode(file.read(_HEAD_BYTES))
    except OSError:
        return False
    if not head.startswith("#!") or not os.access(script, os.X_OK):
        return False
    first, _, rest = head[2:].partition("\n")
    named = first.split()
    if named and os.path.basename(named[0]) == "sh":
        # A path too long or with blanks: the script begins as one of the shell, which executes Python.
        if os.path.dirname(interpreter) == os.path.dirname(os.path.realpath(script)):
            return True
        named += _shell_words(rest.partition("\n")[0])
    return interpreter in named


def _shell_words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _directory(environ: Mapping[str, str]) -> str:
    """The current directory as it was typed: a symbolic link (``current``) may lead elsewhere by then."""
    try:
        here = os.getcwd()
        typed = environ.get("PWD", "")
        if os.path.isabs(typed) and os.path.samefile(typed, here):
            return typed
    except OSError:
        return ""
    return here
