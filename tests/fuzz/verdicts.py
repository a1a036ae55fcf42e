"""The verdicts of one build on all inputs of the short runs and of the kept corpus, a line each (threat G-034): what
two processes can compare.

``python -m tests.fuzz.verdicts COUNT`` prints those of the pure sources.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import chain

from tests.fuzz.builds import use_sources
from tests.fuzz.inputs import inputs, kept


def verdicts(count: int) -> Iterator[str]:
    """``target number digest`` for each input, in order."""
    from tests.fuzz.targets import TARGETS  # Only now: which build this is must be decided before.

    for target in TARGETS.values():
        for number, data in enumerate(chain(inputs(target, count), (data for _, data in kept(target.name)))):
            digest = sha256(repr(target.run(data)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
            yield f"{target.name} {number} {digest}"


if __name__ == "__main__":
    use_sources()
    from torana.base.build import describe

    print(describe())
    for line in verdicts(int(sys.argv[1])):
        print(line)
