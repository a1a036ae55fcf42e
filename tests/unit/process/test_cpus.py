"""How many workers "auto" is, against trees of control groups made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torana.process.cpus import CpuCount, memory_there_is, worker_count

V2 = "0::/box\n"


def _tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _count(
    tmp_path: Path, groups: str, files: dict[str, str], *, memory: int | None = None, usable: int = 64
) -> CpuCount:
    _tree(tmp_path / "cgroup", files)
    (tmp_path / "self").write_text(groups)
    return worker_count(
        memory, cgroup_root=str(tmp_path / "cgroup"), membership=str(tmp_path / "self"), affinity=usable, machine=64
    )


@pytest.mark.parametrize(
    ("text", "workers"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("100000 100000", 1),
        ("10000 100000", 1),
        ("300001 100000", 4),
        ("max 100000", 64),
        ("", 64),
        ("rubbish", 64),
        ("-1 100000", 64),
        ("100000 0", 64),
        ("9" * 5000, 64),
    ],
)
def test_a_quota_of_version_2_is_rounded_up(tmp_path: Path, text: str, workers: int) -> None:
    assert _count(tmp_path, V2, {"box/cpu.max": text}).workers == workers


@pytest.mark.parametrize(("quota", "workers"), [("250000", 3), ("-1", 64), ("50000", 1)])
@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_a_quota_of_version_1_counts_where_it_is_mounted(tmp_path: Path, folder: str, quota: str, workers: int) -> None:
    files = {f"{folder}/box/cpu.cfs_quota_us": quota, f"{folder}/box/cpu.cfs_period_us": "100000"}
    assert _count(tmp_path, "4:memory:/box\n3:cpu,cpuacct:/box\n", files).workers == workers


def test_version_1_says_minus_one_for_none_and_the_scheduler_decides(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert _count(tmp_path, "3:cpu:/\n", files, usable=5).workers == 5


def test_an_outer_group_binds_too(tmp_path: Path) -> None:
    files = {"a/cpu.max": "200000 100000", "a/b/cpu.max": "800000 100000", "a/b/c/cpu.max": "max 100000"}
    assert _count(tmp_path, "0::/a/b/c\n", files).workers == 2


def test_in_a_container_the_mount_itself_is_ours(tmp_path: Path) -> None:
    files = {"cpu.max": "300000 100000"}
    assert _count(tmp_path, "0::/system.slice/docker-1234.scope\n", files).workers == 3


def test_a_path_out_of_our_namespace_is_not_followed(tmp_path: Path) -> None:
    files = {"cpu.max": "300000 100000", "../elsewhere/cpu.max": "100000 100000"}
    assert _count(tmp_path, "0::/../elsewhere\n", files).workers == 3


def test_the_second_hierarchy_of_a_mixed_system_is_read(tmp_path: Path) -> None:
    assert _count(tmp_path, "3:memory:/\n0::/box\n", {"unified/box/cpu.max": "400000 100000"}).workers == 4


def test_memory_binds_once_it_is_known_what_a_worker_takes(tmp_path: Path) -> None:
    files = {"box/cpu.max": "800000 100000", "box/memory.max": str(512 << 20)}
    assert _count(tmp_path, V2, files).workers == 8
    counted = _count(tmp_path, V2, files, memory=150 << 20)
    assert counted.workers == 3
    assert counted.arithmetic == (
        "3 workers: the least of 64 CPUs; a CPU quota of 8; 90% of the memory limit of 512 MiB at 150 MiB a worker, 3"
    )


def test_one_worker_is_the_least_however_large_it_is(tmp_path: Path) -> None:
    assert _count(tmp_path, V2, {"box/memory.max": str(64 << 20)}, memory=1 << 30).workers == 1


@pytest.mark.parametrize("limit", ["max", "9223372036854771712", "", "0"])
def test_no_memory_limit_is_none(tmp_path: Path, limit: str) -> None:
    files = {"memory/box/memory.limit_in_bytes": limit, "box/memory.max": limit}
    assert _count(tmp_path, "4:memory:/box\n0::/box\n", files, memory=1 << 30, usable=7).workers == 7


def test_the_sum_of_a_half_cpu(tmp_path: Path) -> None:
    counted = _count(tmp_path, V2, {"box/cpu.max": "50000 100000"}, usable=16)
    assert counted.arithmetic == "1 worker: the least of 16 of 64 CPUs usable; a CPU quota of 0.5, rounded up to 1"


def test_without_control_groups_the_cpus_decide(tmp_path: Path) -> None:
    counted = worker_count(cgroup_root="/nowhere", membership="/nowhere/self", affinity=4, machine=4)
    assert counted == CpuCount(4, "4 workers: 4 CPUs")


def test_here_it_is_at_least_one() -> None:
    assert worker_count().workers >= 1


def test_the_memory_there_is_is_the_least_of_all_limits(tmp_path: Path) -> None:
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    _tree(root, {"memory.max": "max", "a/memory.max": "700000000", "a/b/memory.high": "500000000"})
    membership.write_text("0::/a/b\n")
    there_is = memory_there_is(cgroup_root=str(root), membership=str(membership))
    assert there_is == 500_000_000
    machine = memory_there_is(cgroup_root=str(tmp_path / "none"), membership=str(tmp_path / "none"))
    assert machine == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > there_is
