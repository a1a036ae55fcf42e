"""``python -m tests.fuzz TARGET``: see the package's docstring."""

from __future__ import annotations

import random
import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.fuzz.builds import pure_run_of, run_of
from tests.fuzz.inputs import damaged, write_seeds
from tests.fuzz.target import Target


def _both(name: str, importing: AbstractContextManager[object] | None = None) -> Callable[[bytes], None]:
    """A function that gives an input to the pure sources and, where torana is compiled, compares."""
    pure = pure_run_of(name, importing)
    installed = run_of(name)
    from torana.base.build import is_compiled

    def run(data: bytes) -> None:
        verdict = pure(data)
        if is_compiled():
            other = installed(data)
            assert repr(other) == repr(verdict), f"the builds differ: compiled {other!r}, pure {verdict!r}"

    return run


def _mutator(target: Target, atheris: Any) -> Callable[[bytes, int, int], bytes]:
    """libFuzzer's own changes, half of them within the form of the input (``shapes``)."""
    grow = target.grow
    assert grow is not None

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.3:
            changed: bytes = atheris.Mutate(data, most)
            return changed

        def damage(part: bytes) -> bytes:
            if chance.random() < 0.5:
                return damaged(chance, part, target.tokens)
            # One byte at least: libFuzzer cannot change nothing.
            changed: bytes = atheris.Mutate(part or b"\0", len(part) + 64)
            return changed

        return grow(chance, data, damage)[:most]

    return mutate


def _dictionary(target: Target, folder: str) -> str:
    """The target's tokens as libFuzzer wants them."""
    path = Path(folder, "tokens")
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in token) + '"' for token in target.tokens if len(token) <= 64]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def _launcher(name: str, folder: str) -> str:
    """What libFuzzer starts when it wants itself again (-merge, -minimize_crash), with more options."""
    path = Path(folder, name)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz {name} "$@"\n')
    path.chmod(0o700)
    return str(path)


def _fuzz(name: str, target: Target, options: list[str]) -> None:
    """A long run; never returns."""
    try:
        import atheris  # type: ignore[import-untyped]
    except ImportError:
        raise SystemExit('a long run needs atheris: install the dependency group "fuzz"') from None
    run = _both(name, atheris.instrument_imports(include=["torana"]))
    folders = [Path(option) for option in options if not option.startswith("-")]
    if folders and not any(option.startswith("-merge") for option in options):
        write_seeds(target, folders[0])
    with tempfile.TemporaryDirectory() as folder:
        if target.tokens:
            options = [*options, f"-dict={_dictionary(target, folder)}"]
        more = {} if target.grow is None else {"custom_mutator": _mutator(target, atheris)}
        atheris.Setup([_launcher(name, folder), *options], run, **more)
        atheris.Fuzz()


def main() -> None:
    from tests.fuzz.targets import TARGETS

    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: python -m tests.fuzz TARGET [FOLDER | FILE] [-libfuzzer_option=...]; targets: "
                         f"{', '.join(TARGETS)}")  # fmt: skip
    name, options = sys.argv[1], sys.argv[2:]
    if len(options) == 1 and Path(options[0]).is_file():  # With options it is libFuzzer's to minimise.
        _both(name)(Path(options[0]).read_bytes())
        print("no finding")
        return
    _fuzz(name, TARGETS[name], options)


if __name__ == "__main__":
    main()
