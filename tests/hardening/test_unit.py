"""``deploy/torana.service`` and its socket: what they say, and what systemd makes of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
SECURITY = REPOSITORY / "docs" / "security" / "hardening.md"
#: Of ``systemd-analyze security``, from 0 to 10; without a network of its own no server gets to 0.
EXPOSURE = 1.5


def settings(name: str) -> dict[str, list[str]]:
    """The lines of a unit, by key."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        if re.match(r"[A-Za-z]+=", line):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_service_is_nobody_and_can_write_nowhere_but_where_it_must() -> None:
    unit = settings("torana.service")
    for key, value in {
        "DynamicUser": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
        "ProtectSystem": "strict", "PrivateTmp": "yes", "SystemCallErrorNumber": "EPERM", "RestrictNamespaces": "yes",
        "SystemCallArchitectures": "native", "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6", "LimitCORE": "0",
    }.items():  # fmt: skip
        assert unit[key] == [value], key
    assert not unit.keys() & {"ReadWritePaths", "User", "SupplementaryGroups"}
    assert unit.keys() >= {"MemoryMax", "TasksMax", "LimitNOFILE"}


def test_every_line_is_explained() -> None:
    page = SECURITY.read_text()
    keys = settings("torana.service").keys() | settings("torana.socket").keys()
    assert {key for key in keys if f"`{key}=" not in page} == set()


def units(folder: Path) -> Path:
    """Copies whose command exists here."""
    for name in ("torana.service", "torana.socket"):
        (folder / name).write_text((DEPLOY / name).read_text().replace("/srv/site/venv/bin/torana", "/bin/true"))
    return folder / "torana.service"


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    """systemd's own judgement, or a skip."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", str(units(tmp_path)), str(tmp_path / "torana.socket"))
    assert done.returncode == 0, done.stderr
    about_ours = [
        line for line in done.stderr.splitlines() if "torana." in line and "Failed to parse system call" not in line
    ]
    assert about_ours == []


def test_systemd_finds_little_exposed(tmp_path: Path) -> None:
    path = units(tmp_path)
    done = analyze("security", "--offline=yes", f"--threshold={int(EXPOSURE * 10)}", str(path))
    if "offline" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a file")
    assert done.returncode == 0, done.stdout
    (level,) = re.findall(r"exposure level for torana\.service: ([\d.]+)", done.stdout)
    assert float(level) <= EXPOSURE
