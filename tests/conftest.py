"""For every test: where torana comes from, which build it must be, and hypothesis without a clock.

An installed torana (``make test``) is preferred; without one, or with ``PYTHONPATH=src``, the tree itself is tested.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.grid_report", "tests.support.threat_marks"]

# At the end of the path: only where nothing is installed.
sys.path.append(str(Path(__file__).resolve().parent.parent / "src"))

# A slow machine is no reason to fail.
settings.register_profile("torana", deadline=None, print_blob=True)
settings.load_profile("torana")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--expect-build", choices=["compiled", "pure"], help="stop unless this is the build of torana that is tested"
    )


def pytest_configure(config: pytest.Config) -> None:
    from torana.base.build import describe

    # As from a shell in the foreground: `nohup`, or a job in the background, leaves some of them ignored, which every
    # process that a test starts would inherit.
    for number, handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGQUIT, signal.SIG_DFL)):
        signal.signal(number, handler)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    expected = config.getoption("--expect-build")
    if expected is not None and expected != describe():
        raise pytest.UsageError(f"this is the {describe()} build of torana, not the {expected} one")


def pytest_report_header() -> str:
    import torana
    from torana.base.build import describe

    return f"torana {torana.__version__}, {describe()} build, from {Path(torana.__file__).parent}"
