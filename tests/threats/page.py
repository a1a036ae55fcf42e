"""``python -m tests.threats.page``: the page ``docs/security/cases.md``, from the catalogue and what tests claim.

Never here: what is claimed (the marks), whether it holds (running the tests).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.server import REPOSITORY
from tests.support.threat_marks import Claim
from tests.threats.catalogue import SECTIONS, Threat

#: Where claims may stand: those of the last two show more than a threat.
PLACES = ("tests/threats", "tests/attacks", "tests/flow", "tests/live")
#: As many examples of one verdict as a reader takes in.
_MOST_EXAMPLES = 40
_HEAD = """# Threats, and what becomes of them

This page is made from the tests (`python -m tests.threats.page > docs/security/cases.md`): each line names what a test
does to a running server, and the verdict that the test holds it to. The tests of `tests/threats` run in both builds
with `make test`; those of `tests/attacks`, with thousands of clients, with `make attacks`. Bytes stand as in Python.
"""


def collected() -> list[Claim]:
    """What all tests claim, found by pytest's own collection in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "claims.json"
        places = [place for place in PLACES if (REPOSITORY / place).is_dir()]
        command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "-p", "no:xdist"]
        subprocess.run(
            [*command, "--threats", str(file), *places], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL
        )
        return [Claim(**claim) for claim in json.loads(file.read_text())]


def page(claims: list[Claim]) -> str:
    """The whole page."""
    by_threat: dict[str, list[Claim]] = {}
    for claim in claims:
        by_threat.setdefault(claim.threat, []).append(claim)
    lines = [_HEAD]
    for title, threats in SECTIONS.items():
        lines.append(f"## {title}\n")
        for threat in threats:
            lines.extend(_section(threat, by_threat.get(threat.id, [])))
    return "\n".join(lines)


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
        shown = [f"    - {_cell(text)}" for text in list(sent)[:_MOST_EXAMPLES]]
        more = len(sent) - len(shown)
        yield f"- **{verdict}**"
        yield "\n".join([*shown, *([f"    - and {more} more"] if more else [])])
    files = sorted({claim.file for claim in claims})
    yield f"\nShown by {', '.join(f'`{file}`' for file in files)}.\n"


def _cell(text: str) -> str:
    """Bytes (which have no blank-separated words of ours) as code, sentences as they are."""
    if "\\r\\n" in text or "\\x" in text:
        fence = "``" if "`" in text else "`"
        return f"{fence}{text}{fence}"
    return text


def main() -> None:
    """Print it."""
    print(page(collected()), end="")


if __name__ == "__main__":
    main()
