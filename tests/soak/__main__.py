"""``python -m tests.soak --minutes 30 --out build/soak``: run, judge, draw, and end with 1 if anything was not held.

Lives here: words and files. Never here: load, bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.soak.judge import Verdict, judge, slope
from tests.soak.page import page
from tests.soak.run import Plan, Run


def main(words: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--rate", type=float, default=300.0, help="answers and messages a second, all servers together")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--publish", type=Path, help="where page, plot and results go if everything was held")
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("--record", type=Path, help="judge and draw this record of an earlier run instead")
    given = parser.parse_args(words)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.record is not None:
        record = json.loads(given.record.read_text())
    else:
        plan = Plan(given.minutes, given.out.resolve(), given.rate, given.seed)
        record = asyncio.run(Run(plan, lambda text: print(text, flush=True)).make())
        (given.out / "record.json").write_text(json.dumps(record))
    results = summarise(record, judge(record))
    (given.out / "reliability.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (given.out / "reliability.md").write_text(page(results))
    if not given.no_plot:
        from tests.soak.plot import draw

        draw(record, given.out / "reliability.svg")
    tell(results)
    if results["is_held"] and given.publish is not None:
        for name in ("reliability.json", "reliability.md", "reliability.svg"):
            shutil.copyfile(given.out / name, given.publish / name)
        print(f"Published in {given.publish}")
    return 0 if results["is_held"] else 1


def summarise(record: dict[str, Any], verdicts: list[Verdict]) -> dict[str, Any]:
    """What the page tells: small enough to be kept beside it."""
    load = next((start, end) for name, start, end in record["spans"] if name == "load")
    latency = {
        server: {name: _middle(series, name, load) for name in ("p50", "p99", "worst")}
        for server, series in record["latency"].items()
    }
    slopes = {
        subject: round(slope(series["t"], series["rss"], load) / (1 << 20), 2)
        for subject, series in record["processes"].items()
        if "count" not in series
    }
    return {
        "is_held": all(verdict.is_held for verdict in verdicts),
        "plan": record["plan"],
        "spans": {name: round(end - start, 1) for name, start, end in record["spans"]},
        "ledger": record["ledger"] | {"unexplained": record["ledger"]["unexplained"][:20]},
        "renewed": record["renewed"],
        "latency_ms": latency,
        "memory_mib_per_hour": slopes,
        "verdicts": [asdict(verdict) | {"is_held": verdict.is_held} for verdict in verdicts],
    }


def _middle(series: dict[str, list[float]], name: str, span: tuple[float, float]) -> float:
    """Median over the windows of the load; of the worst waits the worst."""
    found = sorted(value for at, value in zip(series["t"], series[name], strict=True) if span[0] <= at <= span[1])
    if not found:
        return 0.0
    return found[-1] if name == "worst" else found[len(found) // 2]


def tell(results: dict[str, Any]) -> None:
    """What was not held, and what was unexplained."""
    ledger = results["ledger"]
    print(f"{sum(ledger['done'].values())} done, {sum(ledger['explained'].values())} explained faults of clients")
    for line in ledger["unexplained"]:
        print(f"unexplained: {line}")
    broken = [verdict for verdict in results["verdicts"] if not verdict["is_held"]]
    for one in broken:
        print(f"NOT HELD: {one['rule']}, {one['subject']}: {one['before']} -> {one['after']}, at most {one['most']}")
    print(f"{len(results['verdicts']) - len(broken)} of {len(results['verdicts'])} bounds held")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
