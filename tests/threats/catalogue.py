"""The threats by their numbers, read from ``catalogue.toml``.

Never here: how a threat is answered (the tests claim numbers by their marks).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple


class Threat(NamedTuple):
    """One line of the catalogue; ``waits_for``: the part of Torana that has to exist first."""

    id: str
    title: str
    answer: str
    waits_for: str = ""


def _read() -> dict[str, list[Threat]]:
    text = Path(__file__).with_suffix(".toml").read_text()
    return {
        section["title"]: [Threat(**threat) for threat in section["threats"]]
        for section in tomllib.loads(text)["section"]
    }


SECTIONS = _read()
BY_ID = {threat.id: threat for threats in SECTIONS.values() for threat in threats}
