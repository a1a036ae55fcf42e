"""The probe applications, each served once for all tests here; failed tests show their server's log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, running
from tests.support.show_log import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

HERE = Path(__file__).parent
PROBE_FILE_CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(scope="session")
def probe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file the probes send."""
    path = tmp_path_factory.mktemp("probe") / "file.bin"
    path.write_bytes(PROBE_FILE_CONTENT)
    return path


@pytest.fixture(scope="session")
def probe(probe_file: Path) -> Iterator[Server]:
    """The ASGI probe."""
    with running(
        "asgi_probe:app", "--interface", "asgi", app_dir=HERE, environment={"PROBE_FILE": str(probe_file)}
    ) as server:
        yield server


@pytest.fixture(scope="session")
def wsgi_probe(probe_file: Path) -> Iterator[Server]:
    """The WSGI probe, on four threads."""
    with running(
        "wsgi_probe:app",
        "--interface",
        "wsgi",
        "--threads",
        "4",
        app_dir=HERE,
        environment={"PROBE_FILE": str(probe_file)},
    ) as server:
        yield server
