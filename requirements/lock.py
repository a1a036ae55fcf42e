"""Writes the locks of this folder anew, by uv: ``make lock``. Never here: what is wanted (pyproject.toml says it).

Each lock holds for every Python and system that Torana supports (markers tell them apart), names no registry, and has
the hashes of every file a registry has for a version: pip takes nothing else.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent / "pyproject.toml"
PEERS = HERE.parent / "benchmarks" / "requirements.txt"
#: The oldest Python.
PYTHON = "3.11"
#: What makes a virtual environment before anything else: a pip that all locks were tried with.
TOOLS = "pip>=25.1"
#: Each lock: dependency groups of the project. Those that name any have what torana itself depends on as well.
LOCKS: dict[str, tuple[str, ...]] = {
    "tests": ("dev", "apps"),
    "products": ("dev", "apps", "products"),
    "fuzz": ("fuzz",),
    "soak": ("soak",),
    "supply": ("supply",),
}
HEADER = """\
# Made by `make lock` from {source}: do not edit. pip installs nothing whose hash is not here.
"""
#: Nothing of this machine may stand in a lock.
_PLACE = re.compile(r"https?://|file:|^-(-|i |f )", re.MULTILINE)


def project() -> dict[str, object]:
    """pyproject.toml."""
    return tomllib.loads(PROJECT.read_text())


def build_requirements(*, pure: bool) -> list[str]:
    """What builds torana; the pure build needs no Cython."""
    system = project()["build-system"]
    assert isinstance(system, dict)
    wanted = [one for one in system["requires"] if not (pure and one.lower().startswith("cython"))]
    return [TOOLS, *wanted]


def peers() -> list[str]:
    """What benchmarks compare with; bjoern has no wheels, and is built where libev is."""
    lines = [line.partition("#")[0].strip() for line in PEERS.read_text().splitlines()]
    return [line for line in lines if line and line != "bjoern"]


def runtime() -> list[str]:
    """What torana depends on."""
    about = project()["project"]
    assert isinstance(about, dict)
    wanted: list[str] = about["dependencies"]
    return wanted


def compile_lock(name: str, words: list[str], source: str, *, upgrade: bool) -> None:
    """Have uv write one lock; what an older one says is kept, unless ``upgrade``."""
    path = HERE / f"{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "lock.txt")
        first = HERE / "run.txt"
        # Where several locks are installed, what torana itself depends on has one version.
        words = words if path == first else [*words, "--constraints", str(first)]
        if path.exists() and not upgrade:
            made.write_text(path.read_text())
        asked = [
            sys.executable, "-m", "uv", "pip", "compile", *words, "--no-config", "--quiet", "--universal",
            "--python-version", PYTHON, "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url",
            "--no-emit-find-links", "--allow-unsafe", "--output-file", str(made), *(["--upgrade"] if upgrade else []),
        ]  # fmt: skip
        subprocess.run(asked, check=True, cwd=HERE.parent, stdout=subprocess.DEVNULL)
        text = made.read_text()
    if found := _PLACE.search(text):
        raise SystemExit(f"{name}.txt would name a place: {found[0]!r}")
    path.write_text(HEADER.format(source=source) + text)
    sys.stdout.write(f"requirements/{name}.txt: {len(re.findall(r'^[a-z0-9]', text, re.MULTILINE))} packages\n")


def from_list(name: str, wanted: list[str], source: str, *, upgrade: bool) -> None:
    """A lock for requirements that are no group."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wanted.in")
        path.write_text("\n".join(wanted) + "\n")
        compile_lock(name, [str(path)], source, upgrade=upgrade)


def main(arguments: list[str]) -> None:
    """All of them."""
    parser = argparse.ArgumentParser(description="Write the locks of requirements/ anew.")
    parser.add_argument("--keep", action="store_true", help="keep versions that still fit")
    upgrade = not parser.parse_args(arguments).keep
    from_list("run", runtime(), "[project] of pyproject.toml", upgrade=upgrade)
    from_list("build", build_requirements(pure=False), "[build-system] of pyproject.toml", upgrade=upgrade)
    from_list("build-pure", build_requirements(pure=True), "[build-system] of pyproject.toml", upgrade=upgrade)
    from_list("peers", [*runtime(), *peers()], "benchmarks/requirements.txt", upgrade=upgrade)
    for name, groups in LOCKS.items():
        words = [str(PROJECT), *(word for group in groups for word in ("--group", group))]
        compile_lock(name, words, f"groups {', '.join(groups)} of pyproject.toml", upgrade=upgrade)


if __name__ == "__main__":
    main(sys.argv[1:])
