"""Threat G-034: both builds give the same verdict on every input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.verdicts import verdicts
from torana.base.build import is_compiled

COUNT = 300
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.skipif(not is_compiled(), reason="needs the compiled build: the pure one would be compared with itself")
def test_both_builds_agree() -> None:
    ours = list(verdicts(COUNT))
    path = [str(ROOT), *(folder for folder in sys.path if folder)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; import runpy; sys.argv[1:] = ['{COUNT}']; "
         "runpy.run_module('tests.fuzz.verdicts', run_name='__main__')"],
        capture_output=True, text=True, timeout=300, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    build, *theirs = done.stdout.splitlines()
    assert build == "pure"
    differing = [line.rpartition(" ")[0] for line, other in zip(ours, theirs, strict=True) if line != other]
    assert not differing
