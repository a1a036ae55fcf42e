"""What is installed is locked: each lock has what pyproject.toml asks for, with hashes, and names no place; and the
pure wheel is the same wherever it is built.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LOCKS = REPOSITORY / "requirements"

requirements = pytest.importorskip("packaging.requirements")
utils = pytest.importorskip("packaging.utils")

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def lock_module() -> Any:
    """The script that makes the locks."""
    spec = importlib.util.spec_from_file_location("lock", LOCKS / "lock.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOCK = lock_module()


def group(name: str) -> list[str]:
    """The requirements of a dependency group, with those that it includes."""
    found: list[str] = []
    for entry in PROJECT["dependency-groups"][name]:
        found += group(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return found


def wanted(lock: str) -> list[str]:
    """What a lock has to have."""
    if lock in LOCK.LOCKS:
        return [*PROJECT["project"]["dependencies"], *(one for name in LOCK.LOCKS[lock] for one in group(name))]
    made: dict[str, list[str]] = {
        "run": LOCK.runtime(),
        "peers": [*LOCK.runtime(), *LOCK.peers()],
        "build": LOCK.build_requirements(pure=False),
        "build-pure": LOCK.build_requirements(pure=True),
    }
    return made[lock]


ALL = ["run", "build", "build-pure", "peers", *LOCK.LOCKS]


def locked(lock: str) -> dict[str, list[str]]:
    """Versions by name; several where Pythons differ."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", (LOCKS / f"{lock}.txt").read_text(), re.M
    ):
        found.setdefault(utils.canonicalize_name(name), []).append(version)
    return found


def test_each_lock_has_a_file_and_each_file_is_one() -> None:
    assert {path.stem for path in LOCKS.glob("*.txt")} == set(ALL)


@pytest.mark.parametrize("lock", ALL)
def test_a_lock_has_what_is_asked_for(lock: str) -> None:
    versions = locked(lock)
    for text in wanted(lock):
        requirement = requirements.Requirement(text)
        found = versions.get(utils.canonicalize_name(requirement.name), [])
        assert found, f"{lock}.txt lacks {text}: make lock LOCK_ARGS=--keep"
        assert any(requirement.specifier.contains(one, prereleases=True) for one in found), (
            f"{lock}.txt: {text}: {found}"
        )


@pytest.mark.parametrize("lock", ALL)
def test_a_lock_has_hashes_and_names_no_place(lock: str) -> None:
    text = (LOCKS / f"{lock}.txt").read_text()
    assert not re.search(r"https?:|file:|^-", text, re.MULTILINE)
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert entries
    for entry in entries:
        assert re.fullmatch(r"\S+==\S+( ; [^\\]+)? \\\n(\s+--hash=sha256:[0-9a-f]{64}( \\)?\n?)+", entry), entry[:200]


def test_the_makefile_installs_nothing_without_a_hash() -> None:
    """Beside the tree itself, and bjoern, which is built where its library is."""
    installs = [
        line for line in (REPOSITORY / "Makefile").read_text().splitlines() if "pip" in line or "$(PIP)" in line
    ]
    for line in installs:
        if " install " in line and "--require-hashes" not in line:
            assert "--no-deps" in line or "bjoern" in line, line


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="the build is a shell script")
def test_the_pure_wheel_is_the_same_wherever_it_is_built(tmp_path: Path) -> None:
    if any(importlib.util.find_spec(name) is None for name in ("pip", "setuptools", "wheel")):
        pytest.skip("pip, setuptools or wheel are not installed")
    environment = {**os.environ, "PURE": "only"}
    environment.pop("SOURCE_DATE_EPOCH", None)
    # A copy: somebody may be working on the tree meanwhile.
    tree = tmp_path / "tree"
    shutil.copytree(
        REPOSITORY / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    )
    (tree / ".ci").mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", ".ci/wheel"):
        shutil.copy(REPOSITORY / name, tree / name)
    made = []
    for place in (tmp_path / "one", tmp_path / "quite another" / "place"):
        out = tmp_path / f"out{len(made)}"
        command = [str(tree / ".ci" / "wheel"), sys.executable, str(place), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        (wheel,) = out.glob("*.whl")
        made.append(wheel.read_bytes())
    assert made[0] == made[1]
