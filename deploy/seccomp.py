"""Writes ``seccomp.json`` (Docker, Podman, Kubernetes) and the ``SystemCallFilter=`` of ``torana.service`` from
``syscalls.toml``: ``python deploy/seccomp.py``. With ``--check`` it only says (exit code 1) which is not current.
"""

from __future__ import annotations

import json
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE, PROFILE, UNIT = HERE / "syscalls.toml", HERE / "seccomp.json", HERE / "torana.service"
EPERM = 1
BEGIN, END = "# From syscalls.toml:", "# End of the list."


def declared() -> dict[str, Any]:
    """What the source says."""
    return tomllib.loads(SOURCE.read_text())


def plain_calls(source: dict[str, Any]) -> list[str]:
    """Names that are allowed whatever their arguments, in alphabetical order."""
    special = {entry["call"] for entry in [*source["argument"], *source["absent"]]}
    return sorted({call for group in source["group"] for call in group["calls"]} - special)


def all_calls(source: dict[str, Any]) -> list[str]:
    """Every name that something may be done with, in alphabetical order."""
    special = {entry["call"] for entry in [*source["argument"], *source["absent"]]}
    return sorted({*plain_calls(source), *special})


def profile_of(source: dict[str, Any]) -> dict[str, Any]:
    """The profile as container runtimes read it."""
    syscalls: list[dict[str, Any]] = [{"names": plain_calls(source), "action": "SCMP_ACT_ALLOW"}]
    for entry in source["argument"]:
        for value in entry["equals"]:
            syscalls.append({"names": [entry["call"]], "action": "SCMP_ACT_ALLOW", "args": [_condition(entry, value)]})
    for entry in source["absent"]:
        syscalls.append({"names": [entry["call"]], "action": "SCMP_ACT_ERRNO", "errnoRet": entry["errno"]})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": [f"SCMP_ARCH_{name.upper()}" for name in source["architectures"]],
        "syscalls": syscalls,
    }


def _condition(entry: dict[str, Any], value: int) -> dict[str, Any]:
    if "mask" in entry:
        return {"index": entry["index"], "value": entry["mask"], "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"index": entry["index"], "value": value, "op": "SCMP_CMP_EQ"}


def profile_text(source: dict[str, Any]) -> str:
    """The file."""
    return json.dumps(profile_of(source), indent=2) + "\n"


def unit_lines(source: dict[str, Any]) -> str:
    """The part of the unit; systemd adds up the lines."""
    lines = textwrap.wrap(" ".join(all_calls(source)), 100, break_on_hyphens=False)
    return "\n".join([BEGIN, *(f"SystemCallFilter={line}" for line in lines), END])


def unit_text(source: dict[str, Any], unit: str) -> str:
    """The unit with its list made current."""
    before, _, rest = unit.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + unit_lines(source) + after


def main(arguments: list[str]) -> int:
    """Write both, or with ``--check`` say which is not current."""
    source = declared()
    wanted = {PROFILE: profile_text(source), UNIT: unit_text(source, UNIT.read_text())}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if "--check" in arguments:
            sys.stderr.write(f"{path.name} is not current: python deploy/seccomp.py\n")
        else:
            path.write_text(wanted[path])
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
