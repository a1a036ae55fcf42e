"""The cause of a death, as it is said in the log; the cgroups are folders made by the test."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from torana.process.death import MemoryEvents, describe, memory_events

MIB = 1 << 20


class Peak:
    """A resource usage with this peak, in KiB as on Linux (bytes on macOS)."""

    def __init__(self, peak_bytes: int) -> None:
        self.ru_maxrss = peak_bytes if sys.platform == "darwin" else peak_bytes // 1024


def child(code: str) -> tuple[int, int, resource.struct_rusage]:
    """A child that ran ``code``: its pid, status and usage."""
    process = subprocess.Popen([sys.executable, "-S", "-E", "-c", code], stderr=subprocess.DEVNULL)
    pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return pid, status, usage


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(0)", "exited with code 0"),
        ("raise SystemExit(77)", "exited with code 77"),
        ("raise SystemExit(3)", "exited with code 3 (the application could not be loaded, or refused to start)"),
    ],
)
def test_an_exit_says_its_code(code: str, said: str) -> None:
    assert describe(*child(code)) == said


KILL_SELF = "import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {})"


def test_a_fault_names_itself_and_where_its_stacks_are() -> None:
    said = describe(*child(KILL_SELF.format(int(signal.SIGSEGV))))
    number = int(signal.SIGSEGV)
    assert said.startswith(
        f"killed by signal {number} (SIGSEGV): a memory fault in native code; its stacks stand above"
    )
    assert "it had used up to" in said and "iB" in said


def test_a_kill_from_outside_is_not_called_a_lack_of_memory() -> None:
    pid, status, _ = child(KILL_SELF.format(int(signal.SIGKILL)))
    quiet = MemoryEvents(4, 512 * MIB)
    assert describe(pid, status, None, quiet, quiet) == "killed by signal 9 (SIGKILL): somebody outside ended it"
    assert describe(pid, status) == "killed by signal 9 (SIGKILL): somebody outside ended it"


def test_a_lack_of_memory_is_told_with_its_limit() -> None:
    said = describe(1, signal.SIGKILL, Peak(511 * MIB), MemoryEvents(4, 512 * MIB), MemoryEvents(5, 512 * MIB))
    assert said == (
        "killed by signal 9 (SIGKILL): the kernel ended it for lack of memory (limit 512 MiB)"
        "; it had used up to 511 MiB"
    )
    said = describe(1, signal.SIGKILL, None, None, MemoryEvents(1, None))
    assert said.endswith("for lack of memory (no limit is set: all of it)")


def test_what_we_sent_is_ours_even_when_memory_was_short() -> None:
    events = MemoryEvents(0, MIB), MemoryEvents(1, MIB)
    assert describe(1, signal.SIGKILL, None, *events, sent=signal.SIGKILL) == (
        "killed by signal 9 (SIGKILL): sent by this server"
    )
    assert "lack of memory" in describe(1, signal.SIGKILL, None, *events, sent=signal.SIGABRT)


def test_another_signal_is_not_blamed_on_memory() -> None:
    events = MemoryEvents(0, MIB), MemoryEvents(1, MIB)
    assert "memory" not in describe(1, signal.SIGTERM, None, *events)


@pytest.mark.parametrize("number", [number for number in range(1, 65) if number not in (19, 20, 21, 22)])
def test_every_signal_has_a_sentence(number: int) -> None:
    assert describe(1, number).startswith(f"killed by signal {number} (")


# Where the counters are read


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def read(tmp_path: Path, membership: str, files: dict[str, str]) -> MemoryEvents | None:
    plant(tmp_path, {"membership": membership})
    return memory_events(plant(tmp_path / "cgroup", files), tmp_path / "membership")


EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill {}\noom_group_kill 0\n"


def test_version_2_takes_the_lowest_limit_on_the_way_up(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "0::/system.slice/torana.service\n",
        {
            "memory.events": EVENTS.format(9),
            "system.slice/memory.max": f"{256 * MIB}\n",
            "system.slice/torana.service/memory.max": "max\n",
            "system.slice/torana.service/memory.events": EVENTS.format(2),
        },
    )
    assert found == MemoryEvents(2, 256 * MIB)


def test_version_2_within_a_container(tmp_path: Path) -> None:
    files = {"memory.events": EVENTS.format(0), "memory.max": str(64 * MIB)}
    assert read(tmp_path, "0::/\n", files) == MemoryEvents(0, 64 * MIB)
    # The path of the host, which is not mounted here.
    assert read(tmp_path, "0::/docker/abc\n", files) == MemoryEvents(0, 64 * MIB)
    assert read(tmp_path, "0::/../../other\n", files) == MemoryEvents(0, 64 * MIB)


def test_version_1_and_both_at_once(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "5:cpuset:/\n4:memory,hugetlb:/box\n1:name=systemd:/\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/box/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n",
            "memory/box/memory.limit_in_bytes": f"{100 * MIB}\n",
        },
    )
    # "memory,hugetlb" is looked for where the usual link "memory" leads.
    assert found == MemoryEvents(6, 100 * MIB)


def test_no_limit_and_no_counter(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.oom_control": "oom_kill 0\n"}
    assert read(tmp_path, "4:memory:/\n", files) == MemoryEvents(0, None)
    assert read(tmp_path, "4:memory:/\n", {"memory/memory.oom_control": "under_oom 0\n"}) is None
    assert read(tmp_path, "nonsense\n", files) is None
    assert memory_events(tmp_path, tmp_path / "nowhere") is None


def test_this_machine_is_read_without_harm() -> None:
    found = memory_events()
    assert found is None or (found.kills >= 0 and (found.limit_bytes is None or found.limit_bytes > 0))
