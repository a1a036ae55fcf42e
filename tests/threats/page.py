"""``python -m tests.threats.page``: the page ``docs/security/cases.md``, from the catalogue and what tests claim.

Never here: what is claimed (the marks), whether it holds (running the tests).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.server import REPOSITORY
from tests.support.threat_marks import Claim
from tests.threats.catalogue import SECTIONS, Threat

#: Where claims may stand: those of the last two show more than a threat.
PLACES = ("tests/threats", "tests/attacks", "tests/flow", "tests/live")
#: As many examples of one verdict as a reader takes in.
_MOST_EXAMPLES = 40
_MOST_DIFFERING = 60
#: What stands behind the beginning of a long input.
AND_SO_ON = " and so on, "
#: Fewer shared characters say nothing.
_LEAST_ALIKE = 16
#: Where a shared beginning may end, and a shared end begin.
_ENDS = (" ", "\\r\\n")
_HEAD = """# Threats, and what becomes of them

This page is made from the tests (`python -m tests.threats.page > docs/security/cases.md`): each line names what a test
does to a running server, and the verdict that the test holds it to. The tests of `tests/threats` run in both builds
with `make test`; those of `tests/attacks`, with thousands of clients, with `make attacks`. Bytes stand as in Python.
"""


def collected(places: Sequence[str] = PLACES) -> list[Claim]:
    """What the tests in these places claim, found by pytest's own collection in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.json"
        command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "-p", "no:xdist"]
        subprocess.run(
            [*command, "--threats", str(file), *places], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL
        )
        return [Claim(**claim) for claim in json.loads(file.read_text())]


def page(claims: list[Claim]) -> str:
    """The whole page; ``claims`` in any order of places, and within a place as collected."""
    by_threat: dict[str, list[Claim]] = {}
    for claim in sorted(claims, key=lambda claim: _place(claim.file)):
        by_threat.setdefault(claim.threat, []).append(claim)
    lines = [_HEAD]
    for title, threats in SECTIONS.items():
        lines.append(f"## {title}\n")
        for threat in threats:
            lines.extend(_section(threat, by_threat.get(threat.id, [])))
    return "\n".join(lines)


def _place(file: str) -> int:
    return next(number for number, place in enumerate(PLACES) if file.startswith(f"{place}/"))


def _section(threat: Threat, claims: list[Claim]) -> Iterator[str]:
    yield f"### {threat.id} {threat.title}\n"
    yield f"Owed: {threat.answer}.\n"
    if not claims:
        yield f"Waits for {threat.waits_for}.\n"
        return
    by_verdict: dict[str, dict[str, None]] = {}
    for claim in claims:
        by_verdict.setdefault(claim.verdict, {})[claim.sent] = None
    for verdict, sent in by_verdict.items():
        shown = [f"    - {_alike(cluster)}" for cluster in _clusters([*sent])]
        more = len(shown) - _MOST_EXAMPLES
        yield f"- **{verdict}**"
        yield "\n".join([*shown[:_MOST_EXAMPLES], *([f"    - and {more} more"] if more > 0 else [])])
    files = sorted({claim.file for claim in claims})
    yield f"\nShown by {', '.join(f'`{file}`' for file in files)}.\n"


def _clusters(texts: list[str]) -> Iterator[list[str]]:
    """Runs of texts that are half alike, for a reader who wants to see what differs."""
    cluster: list[str] = []
    alike = 0
    for text in texts:
        now = sum(_shared([*cluster, text])) if cluster and _is_bytes(text) else 0
        # Three that are alike are not given up for a fourth that is less so.
        is_less = len(cluster) > 2 and now < alike * 3 // 4
        if cluster and (is_less or now < max(_LEAST_ALIKE, min(map(len, [*cluster, text])) // 2)):
            yield cluster
            cluster = []
        alike = now
        cluster.append(text)
    yield cluster


def _shared(texts: list[str]) -> tuple[int, int]:
    """How many characters all begin and end with, counted up to where a word or a line of theirs ends."""
    first, last = min(texts), max(texts)
    before = _same(first, last)
    while before and not first.startswith(_ENDS, before) and not first[:before].endswith(_ENDS):
        before -= 1
    turned = [text[before:][::-1] for text in texts]
    after = _same(min(turned), max(turned))
    while after and not first[len(first) - after :].startswith(_ENDS):
        after -= 1
    return before, after


def _same(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _alike(cluster: list[str]) -> str:
    """One example, or several as what they share and what differs."""
    if len(cluster) < 3:
        return "\n    - ".join(map(_cell, cluster))
    before, after = _shared(cluster)
    ends = [len(text) - after for text in cluster]
    differing = [
        _code(text[before:end]) if end > before else "nothing" for text, end in zip(cluster, ends, strict=True)
    ]
    more = len(differing) - _MOST_DIFFERING
    listed = ", ".join(differing[:_MOST_DIFFERING]) + (f" and {more} more" if more > 0 else "")
    text = cluster[0]
    shown = [_code(text[:before])] * (before > 0) + ["…"] + [_code(text[len(text) - after :])] * (after > 0)
    return f"{' '.join(shown)} with: {listed}"


def _is_bytes(text: str) -> bool:
    """Whether it stands as in Python; sentences of ours have no escapes."""
    return any(escape in text for escape in ("\\r", "\\n", "\\x", "\\t"))


def _cell(text: str) -> str:
    return _code(text) if _is_bytes(text) else text


def _code(text: str) -> str:
    text, mark, rest = text.partition(AND_SO_ON)
    return (f"`` {text} ``" if "`" in text else f"`{text}`") + mark + rest


def main() -> None:
    """Print it."""
    print(page(collected()), end="")


if __name__ == "__main__":
    main()
