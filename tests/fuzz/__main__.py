"""``python -m tests.fuzz TARGET``: see the package's docstring."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.fuzz.builds import pure_run_of, run_of


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


def main() -> None:
    from tests.fuzz.targets import TARGETS

    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: python -m tests.fuzz TARGET [FOLDER | FILE] [-libfuzzer_option=...]; targets: "
                         f"{', '.join(TARGETS)}")  # fmt: skip
    name, options = sys.argv[1], sys.argv[2:]
    if len(options) == 1 and Path(options[0]).is_file():
        _both(name)(Path(options[0]).read_bytes())
        print("no finding")
        return
    try:
        import atheris  # type: ignore[import-untyped]
    except ImportError:
        raise SystemExit('a long run needs atheris: install the dependency group "fuzz"') from None
    run = _both(name, atheris.instrument_imports(include=["torana"]))
    folders = [Path(option) for option in options if not option.startswith("-")]
    if folders:
        folders[0].mkdir(parents=True, exist_ok=True)
        for number, parts in enumerate(TARGETS[name].seeds):
            (folders[0] / f"seed-{number}").write_bytes(b"".join(parts))
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
