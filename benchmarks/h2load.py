"""h2load (of nghttp2): one thread, HTTP/2 by prior knowledge on plain TCP. What it prints is read here, once.

A work that is counted in requests runs for a time on eight connections of sixteen streams; one that is counted in bytes
asks a number of times, on one stream after another. It tells no percentiles.
"""

from __future__ import annotations

import re
import shutil
import tempfile

from benchmarks.works import Work

CONNECTIONS = 8
STREAMS = 16
#: Large bodies asked for, a second of the duration wished for.
_BODIES_S = 2
#: Most that a run may take beyond the duration wished for: 10 bodies of 100 MiB from a slow server.
LIMIT_S = 120.0
_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_FINISHED = re.compile(r"finished in ([\d.]+)(us|ms|s), ")
_REQUESTS = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_STATUS = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_TRAFFIC = re.compile(r"traffic: .*?\((\d+)\) total")
_TIMES = re.compile(r"time for request: +\S+ +\S+ +([\d.]+)(us|ms|s)")


def is_available() -> bool:
    """Whether it is on the path."""
    return shutil.which("h2load") is not None


def command(work: Work, port: int, duration_s: float) -> list[str]:
    """What to run; a body is to be put in a file and added with ``-d``."""
    said = ["h2load", "-t", "1"]
    if work.unit_bytes:
        said += ["-c", "1", "-m", "1", "-n", str(max(2, round(_BODIES_S * duration_s)))]
    else:
        said += ["-c", str(CONNECTIONS), "-m", str(STREAMS), "-D", str(max(1, round(duration_s)))]
    return [*said, f"http://127.0.0.1:{port}{work.path}"]


def body_file(body: bytes) -> tempfile._TemporaryFileWrapper[bytes]:
    """A file with the body, gone when it is closed."""
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by the caller
    file.write(body)
    file.flush()
    return file


def read(work: Work, said: str) -> dict[str, float]:
    """What it found, in wrk's terms; ValueError when it printed something else. The mean stands for the median."""
    finished, requests, status = _FINISHED.search(said), _REQUESTS.search(said), _STATUS.search(said)
    traffic, times = _TRAFFIC.search(said), _TIMES.search(said)
    if finished is None or requests is None or status is None or traffic is None or times is None:
        raise ValueError(said.strip()[-500:])
    succeeded, failed, _, timeouts = map(int, requests.groups())
    each = max(1, _body_bytes(work, int(traffic[1]), succeeded) // work.unit_bytes) if work.unit_bytes else 1
    return {
        "duration_us": float(finished[1]) * _UNITS_US[finished[2]],
        "requests": succeeded * each,
        "bytes": float(traffic[1]),
        "p50_us": float(times[1]) * _UNITS_US[times[2]],
        "p99_us": 0.0,
        "status": sum(map(int, status.groups()[1:])),
        "connect": 0,
        # Those whose time was over count as failed as well.
        "read": failed - timeouts,
        "write": 0,
        "timeout": timeouts,
    }


def _body_bytes(work: Work, received: int, succeeded: int) -> int:
    """Bytes of one body: those sent, or those received."""
    return len(work.body) or received // max(1, succeeded)
