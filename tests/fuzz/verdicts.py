"""The verdicts of one build on the short runs' inputs, a line each: what two processes can compare (threat G-034).

``python -m tests.fuzz.verdicts COUNT`` prints those of the pure sources.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256

from tests.fuzz.builds import use_sources
from tests.fuzz.inputs import inputs


def verdicts(count: int) -> Iterator[str]:
    """``target number digest`` for each input, in order."""
    from tests.fuzz.targets import TARGETS  # Only now: which build this is must be decided before.

    for target in TARGETS.values():
        for number, data in enumerate(inputs(target, count)):
            digest = sha256(repr(target.run(data)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
            yield f"{target.name} {number} {digest}"


if __name__ == "__main__":
    use_sources()
    from torana.base.build import describe

    print(describe())
    for line in verdicts(int(sys.argv[1])):
        print(line)
