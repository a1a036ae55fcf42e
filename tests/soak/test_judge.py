"""The judge sees each kind of leak in recorded data, and none where there is none."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.soak.content import PATTERN, Check, content
from tests.soak.judge import MIB, RULES, judge, slope, thirds
from tests.soak.ledger import complaints
from tests.soak.page import page
from tests.soak.site import ASKED_FOR

DOCS = Path(__file__).resolve().parents[2] / "docs"
SPANS = [
    ("before", 0.0, 3.0), ("warm-up", 3.0, 63.0), ("rest", 63.0, 69.4), ("load", 69.5, 369.5), ("end", 370.0, 378.0),
]  # fmt: skip
WORKER, SUPERVISOR = "steady, worker 1", "steady, supervisor"

Record = dict[str, Any]


def series(value: float) -> dict[str, list[float]]:
    """The same value each second, less what only load needs."""
    times = [float(second) for second in range(379)]
    return {
        "t": times, "rss": [value * MIB] * 379, "pss": [value * MIB] * 379, "cpu_s": times[:],
        "descriptors": [16.0 if second <= 3 or 63 <= second < 70 or second >= 370 else 30.0 for second in range(379)],
        "threads": [3.0 if second <= 3 else 8.0 for second in range(379)],
    }  # fmt: skip


def sound() -> Record:
    """A run in which everything was held."""
    times = [66.0, *(float(second) for second in range(80, 370, 15)), 377.0]
    count = len(times)
    held = {"torana.serve.server.Server": 1, "torana.gateway.threads._Worker": 2, "builtins.dict": 100}
    supervisor = series(40.0)
    supervisor["threads"] = [1.0] * 379
    return {
        "spans": SPANS,
        "plan": {"rate": 300.0, "rate_found": 290.0},
        "kinds": ["upload", "leaves"],
        "threads": 6,
        "processes": {WORKER: series(50.0), SUPERVISOR: supervisor},
        "objects": {
            WORKER: {
                "t": times,
                "objects": [200.0, *[500.0] * (count - 2), 210.0],
                "tasks": [4.0] * count,
                "heap": [7e6, *[8e6] * (count - 2), 7.1e6],
                "blocks": [1.5e5, *[1.6e5] * (count - 2), 1.505e5],
            }
        },
        "classes": {WORKER: [held, held | {"torana.gateway.threads._Worker": 6, "builtins.dict": 120}]},
        "ledger": {"done": {"upload": 9}, "explained": {"leaves: left": 1}, "unexplained": [], "unexplained_count": 0},
        "workers": {"steady": {"wanted": 2, "found": 2}},
        "renewed": {"replaced": 3, "reloads": 2},
    }


def broken(record: Record) -> set[str]:
    return {verdict.rule for verdict in judge(record) if not verdict.is_held}


def test_a_sound_run_is_held_and_every_rule_is_applied() -> None:
    verdicts = judge(sound())
    assert [verdict for verdict in verdicts if not verdict.is_held] == []
    assert {verdict.rule for verdict in verdicts} == set(RULES)


def leak_memory(record: Record) -> None:
    # 100 bytes a request at 300 requests a second.
    rss = record["processes"][WORKER]["rss"]
    record["processes"][WORKER]["rss"] = [value + 30_000 * second for second, value in enumerate(rss)]


def leak_bytes(record: Record) -> None:
    record["objects"][WORKER]["heap"][-1] = 7e6 + 300_000


def leak_blocks(record: Record) -> None:
    record["objects"][WORKER]["blocks"][-1] = 1.5e5 + 2100


def leak_a_descriptor(record: Record) -> None:
    descriptors = record["processes"][WORKER]["descriptors"]
    record["processes"][WORKER]["descriptors"] = [*descriptors[:200], *(value + 1 for value in descriptors[200:])]


def leak_descriptors(record: Record) -> None:
    descriptors = record["processes"][WORKER]["descriptors"]
    record["processes"][WORKER]["descriptors"] = [value + second // 20 for second, value in enumerate(descriptors)]


def leak_a_thread_for_a_while(record: Record) -> None:
    record["processes"][WORKER]["threads"][300] = 10.0


def leak_a_thread_in_the_supervisor(record: Record) -> None:
    record["processes"][SUPERVISOR]["threads"][300:] = [2.0] * 79


def leak_a_task(record: Record) -> None:
    record["objects"][WORKER]["tasks"][-1] = 5.0


def leak_objects(record: Record) -> None:
    objects = record["objects"][WORKER]["objects"]
    record["objects"][WORKER]["objects"] = [value + 100 * number for number, value in enumerate(objects)]


def leak_a_connection(record: Record) -> None:
    record["classes"][WORKER][1]["torana.serve.connection.Connection"] = 1


def exchange_one_leak_for_another_class(record: Record) -> None:
    record["classes"][WORKER][0]["socket.socket"] = 1
    record["classes"][WORKER][1]["torana.serve.connection.Connection"] = 1


def fail(record: Record) -> None:
    record["ledger"]["unexplained_count"] = 1


def starve(record: Record) -> None:
    record["plan"]["rate_found"] = 150.0


def do_nothing(record: Record) -> None:
    record["ledger"]["done"]["upload"] = 0


def never_reload(record: Record) -> None:
    record["renewed"]["reloads"] = 0


def lose_a_worker(record: Record) -> None:
    record["workers"]["steady"]["found"] = 1


def keep_a_worker(record: Record) -> None:
    record["workers"]["steady"]["found"] = 3


@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (leak_memory, {"resident memory under load"}),
        (leak_bytes, {"memory in use at rest"}),
        (leak_blocks, {"blocks in use at rest"}),
        (leak_a_descriptor, {"descriptors at rest"}),
        (leak_descriptors, {"descriptors at rest", "descriptors under load"}),
        (leak_a_thread_for_a_while, {"threads"}),
        (leak_a_thread_in_the_supervisor, {"threads"}),
        (leak_a_task, {"tasks at rest"}),
        (leak_objects, {"objects at rest", "objects under load"}),
        (leak_a_connection, {"objects that belong to a request"}),
        (exchange_one_leak_for_another_class, {"objects that belong to a request"}),
        (fail, {"unexplained errors"}),
        (starve, {"load"}),
        (do_nothing, {"every client succeeded"}),
        (never_reload, {"workers were replaced"}),
        (lose_a_worker, {"workers at the end"}),
        (keep_a_worker, {"workers at the end"}),
    ],
)
def test_each_leak_breaks_its_rules_and_no_other(spoil: Callable[[Record], None], rules: set[str]) -> None:
    record = copy.deepcopy(sound())
    spoil(record)
    assert broken(record) == rules


def test_a_slope_does_not_mind_outliers() -> None:
    times = [float(second) for second in range(100)]
    values = [10.0 + second for second in range(100)]
    values[50] = 1e9
    assert slope(times, values, (0.0, 99.0)) == pytest.approx(3600.0)
    assert slope([1.0], [1.0], (0.0, 9.0)) == 0.0


def test_thirds_need_values_in_both() -> None:
    assert thirds([0.0, 1.0, 9.0], [1.0, 3.0, 7.0], (0.0, 9.0)) == (2.0, 7.0)
    assert thirds([0.0, 1.0], [1.0, 3.0], (0.0, 9.0)) is None


LOG = f"""\
2026-01-01 00:00:00,000 [7] INFO Worker 1 (pid 8) is ready
2026-01-01 00:00:00,000 [8] WARNING refused 127.0.0.1: no-host
2026-01-01 00:00:00,000 [8] ERROR GET /raise failed
Traceback (most recent call last):
RuntimeError: {ASKED_FOR}
2026-01-01 00:00:00,000 [7] WARNING Worker 1 is told to stop: too many workers are retiring
"""


def test_a_log_without_complaints() -> None:
    assert complaints(LOG, is_renewed=True) == []
    assert len(complaints(LOG)) == 1


@pytest.mark.parametrize(
    "record",
    [
        "2026-01-01 00:00:00,000 [8] ERROR GET /hello failed\nTraceback (most recent call last):\nValueError: x",
        "2026-01-01 00:00:00,000 [8] WARNING refused 127.0.0.1: x\nTraceback (most recent call last):\nValueError: x",
        "2026-01-01 00:00:00,000 [7] CRITICAL all is lost",
        "2026-01-01 00:00:00,000 [7] WARNING Worker 1 (pid 8) died: killed by signal 9",
    ],
)
def test_a_log_with_a_complaint(record: str) -> None:
    assert complaints(LOG + record + "\n" + LOG, is_renewed=True) == [record]


def test_content_is_the_same_wherever_it_is_cut() -> None:
    size = 2 * len(PATTERN) + 5
    whole = content(size)
    for step in (1000, 16384, len(PATTERN)):
        check = Check()
        for start in range(0, size, step):
            piece = content(min(step, size - start), start)
            assert piece == whole[start : start + step]
            check.feed(piece)
        assert check.is_whole(size)
        assert not check.is_whole(size + 1)
    check.feed(b"no")
    assert not check.is_whole(size + 2)


@pytest.mark.skipif(not (DOCS / "reliability.json").exists(), reason="nothing was published yet")
def test_the_published_page_is_what_the_results_say() -> None:
    results = json.loads((DOCS / "reliability.json").read_text())
    assert results["is_held"]
    assert (DOCS / "reliability.md").read_text() == page(results)
    assert (DOCS / "reliability.svg").stat().st_size < 300_000
