"""Run curl against a test server; what it printed and what it saw on the wire come back as one value."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import pytest

CURL = shutil.which("curl")
TIMEOUT_S = 30


@dataclass(frozen=True)
class CurlResult:
    """What one run of curl gave: exit code, body on standard output, verbose trace on standard error."""

    exit_code: int
    body: bytes
    trace: str

    def sent(self) -> list[str]:
        """Head lines curl sent."""
        return [line[2:] for line in self.trace.splitlines() if line.startswith("> ")]

    def received(self) -> list[str]:
        """Head lines curl received, of every response in turn."""
        return [line[2:] for line in self.trace.splitlines() if line.startswith("< ")]

    def statuses(self) -> list[int]:
        """Status codes in the order received, interim ones included."""
        return [int(line.split()[1]) for line in self.received() if line.startswith("HTTP/")]

    def has_reused(self) -> bool:
        """Whether a request went over the connection of one before it; versions of curl spell it differently."""
        return "Re-using existing " in self.trace or "Reusing existing " in self.trace


def curl(*arguments: str, data: bytes | None = None) -> CurlResult:
    """Run curl, verbose; `data` goes to its standard input. The test is skipped where there is no curl."""
    if CURL is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        [CURL, "-q", "-sS", "-v", "--noproxy", "*", "--max-time", str(TIMEOUT_S), *arguments],
        input=data,
        stdin=None if data is not None else subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S + 10,
        check=False,
    )
    return CurlResult(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
