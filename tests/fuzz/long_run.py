"""What ``make fuzz`` and ``make fuzz-corpus`` do: every target under atheris, for a while each.

``python -m tests.fuzz.long_run MINUTES [TARGET...]`` runs them side by side, a process a CPU; what they learn stays in
build/fuzz/TARGET, what they find in build/fuzz/findings. The exit code is 1 when something was found.
``python -m tests.fuzz.long_run --keep [TARGET...]`` adds to the kept corpus, made small, what reaches new code.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.inputs import CORPUS, write_seeds

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "fuzz"
#: Per input: seconds, and MiB of the process (whose coverage counters and two builds take 200).
TIMEOUT_S = 10
RSS_MIB = 1500
#: Targets that deserve more of the time than the others: strangers reach them first.
_SHARES = {"http1": 3, "http2": 4, "hpack": 2, "websocket": 3, "http1-peers": 2, "http2-peers": 2, "websocket-peers": 2}
#: Inputs longer than this are not kept: all of the corpus shall stay small.
_MOST_KEPT_BYTES = 2000
#: Longer inputs are slow, and find what shorter ones do.
_LONGEST_BYTES = 8192
_LIMITS = [f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={RSS_MIB}", f"-max_len={_LONGEST_BYTES}"]


@dataclass
class Run:
    """What became of one target's run."""

    name: str
    executions: int
    findings: list[Path]
    log: Path
    code: int


def _folder(name: str) -> Path:
    """A target's own corpus, begun with the kept one."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    kept = CORPUS / name
    if kept.is_dir():
        for path in kept.iterdir():
            shutil.copyfile(path, folder / path.name)
    return folder


def _fuzz(name: str, seconds: int) -> Run:
    findings, log = FOLDER / "findings" / name, FOLDER / f"{name}.log"
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    command = [
        *(sys.executable, "-m", "tests.fuzz", name, str(_folder(name)), f"-max_total_time={seconds}", *_LIMITS),
        *(f"-artifact_prefix={findings}/", "-print_final_stats=1"),
    ]
    with log.open("wb") as file:
        # Whatever libFuzzer's own bounds miss ends here.
        try:
            code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, timeout=seconds + 120).returncode
        except subprocess.TimeoutExpired:
            code = -1
    said = log.read_text(errors="replace")
    counted = re.search(r"number_of_executed_units:\s*([0-9]+)", said) or re.search(r"#([0-9]+)\s+DONE", said)
    executions = int(counted[1]) if counted else max(map(int, re.findall(r"^#([0-9]+)", said, re.MULTILINE)), default=0)
    # Inputs that were merely slow on a busy machine are reported, and are none.
    found = sorted(path for path in set(findings.iterdir()) - before if not path.name.startswith("slow-unit"))
    run = Run(name, executions, found, log, code)
    print(f"{name:>20}: {executions:>9} inputs in {seconds} s{_verdict(run)}", flush=True)
    return run


def _verdict(run: Run) -> str:
    if run.findings:
        return f"; FOUND {len(run.findings)}"
    return "" if run.code == 0 else f"; FAILED with exit code {run.code}, see {run.log.relative_to(ROOT)}"


def fuzz(names: list[str], minutes: float) -> int:
    """Run the targets; the exit code."""
    workers = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    share = minutes * 60 * workers / sum(_SHARES.get(name, 1) for name in names)
    began = time.monotonic()
    print(f"{len(names)} targets, {workers} at a time, {minutes:g} min in all", flush=True)
    with ThreadPoolExecutor(workers) as pool:
        # The longest first, so that none is alone at the end.
        ordered = sorted(names, key=lambda name: -_SHARES.get(name, 1))
        runs = list(pool.map(lambda name: _fuzz(name, max(2, int(share * _SHARES.get(name, 1)))), ordered))
    bad = [run for run in runs if run.findings or run.code != 0]
    total = sum(run.executions for run in runs)
    print(f"{total} inputs in {time.monotonic() - began:.0f} s; {'nothing was found' if not bad else 'FOUND:'}")
    for run in bad:
        for path in run.findings:
            shown = path.relative_to(ROOT)
            print(f"  {run.name}: see it again with  {_python()} -m tests.fuzz {run.name} {shown}")
            print(f"    and keep it, once mended, as  {(CORPUS / run.name).relative_to(ROOT)}/finding-WHAT")
        if not run.findings:
            print(f"  {run.name}: its run failed; the end of {run.log.relative_to(ROOT)} says why")
    return 1 if bad else 0


def _python() -> str:
    path = Path(sys.executable)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def keep(names: list[str]) -> int:
    """Merge what long runs have learnt into the kept corpus: the smallest inputs that reach what is not yet reached."""
    from tests.fuzz.targets import TARGETS

    for name in names:
        source, target = FOLDER / name, CORPUS / name
        if not source.is_dir():
            print(f"{name:>20}: there was no run yet")
            continue
        target.mkdir(parents=True, exist_ok=True)
        before = len(list(target.iterdir()))
        small = FOLDER / "small" / name
        shutil.rmtree(small, ignore_errors=True)
        small.mkdir(parents=True)
        for path in source.iterdir():
            if path.stat().st_size <= _MOST_KEPT_BYTES:
                shutil.copyfile(path, small / path.name)
        # What the seeds reach need not be kept a second time.
        seeds = write_seeds(TARGETS[name], target)
        # How often a line was reached counts as well for those that matter most; for others, that it was.
        command = [sys.executable, "-m", "tests.fuzz", name, str(target), str(small), "-merge=1", *_LIMITS]
        command += [f"-use_counters={int(name in _SHARES)}"]
        with (FOLDER / f"{name}.merge.log").open("wb") as file:
            done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, timeout=1800)
        for path in seeds:
            path.unlink()
        files = list(target.iterdir())
        for path in files:
            # libFuzzer names files by their content; a few of its digits do.
            if re.fullmatch("[0-9a-f]{40}", path.name):
                path.rename(path.with_name(path.name[:12]))
        size = sum(path.stat().st_size for path in target.iterdir())
        print(f"{name:>20}: {len(files) - before:>4} more, {len(files)} files, {size // 1024} KiB", flush=True)
        if done.returncode != 0:
            print(f"the merge of {name} failed; see {(FOLDER / name).relative_to(ROOT)}.merge.log")
            return 1
    return 0


def main() -> None:
    from tests.fuzz.targets import TARGETS

    mode, *names = sys.argv[1:] or ["5"]
    unknown = set(names) - set(TARGETS)
    if unknown:
        raise SystemExit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    names = names or list(TARGETS)
    raise SystemExit(keep(names) if mode == "--keep" else fuzz(names, float(mode)))


if __name__ == "__main__":
    main()
