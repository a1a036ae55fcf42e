"""The inputs of the short runs: the kept corpus, the seeds, and what a fixed seed of chance makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.fuzz.target import Seed, Target

#: An input is cut to this size: more of the same finds nothing new in a short run.
MOST_BYTES = 32 * 1024
#: What long runs have found and what is kept of it: files of a target in a folder of its name.
CORPUS = Path(__file__).resolve().parent / "corpus"
_EDGES = bytes([0x00, 0x01, 0x09, 0x0A, 0x0D, 0x20, 0x2C, 0x30, 0x3A, 0x7E, 0x7F, 0x80, 0xFE, 0xFF])


def kept(name: str) -> Iterator[tuple[str, bytes]]:
    """The kept corpus of a target: file names and inputs, in order."""
    folder = CORPUS / name
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            yield path.name, path.read_bytes()


def write_seeds(target: Target, folder: Path) -> list[Path]:
    """The seeds as files of a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"seed-{number}" for number in range(len(target.seeds))]
    for path, parts in zip(paths, target.seeds, strict=True):
        path.write_bytes(b"".join(parts))
    return paths


def inputs(target: Target, count: int, seed: int = 34) -> Iterator[bytes]:
    """All seeds as they are, then ``count`` changed ones."""
    for parts in target.seeds:
        yield b"".join(parts)
    chance = random.Random(f"{target.name} {seed}")
    damage = partial(damaged, chance, tokens=target.tokens)
    before = b""
    for number in range(count * target.share // 1000):
        if target.grow is not None and number % 2:
            # Of a seed, or of what was grown before: some inputs are many steps away.
            before = target.grow(chance, before if number % 8 > 1 else b"".join(chance.choice(target.seeds)), damage)
            yield before[:MOST_BYTES]
        else:
            yield _changed(chance, target)[:MOST_BYTES]


def _changed(chance: random.Random, target: Target) -> bytes:
    """One seed, with whole parts moved about and some parts damaged."""
    parts = list(chance.choice(target.seeds))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
        _move(chance, parts, chance.choice(target.seeds))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        if parts:
            at = chance.randrange(len(parts))
            part = damaged(chance, parts[at], target.tokens)
            parts[at] = target.mend(part) if target.mend is not None and chance.random() < 0.6 else part
    return b"".join(parts)


def _move(chance: random.Random, parts: list[bytes], other: Seed) -> None:
    """Drop, repeat, exchange or bring in a part."""
    at = chance.randrange(len(parts) + 1)
    match chance.randrange(5):
        case 0 if at < len(parts):
            del parts[at]
        case 1 if parts:
            parts[at:at] = [chance.choice(parts)] * chance.choice((1, 1, 2, 20))
        case 2 if at < len(parts):
            to = chance.randrange(len(parts))
            parts[at], parts[to] = parts[to], parts[at]
        case 3 if other:
            parts.insert(at, chance.choice(other))
        case _ if other:
            parts[at:] = other[chance.randrange(len(other)) :]


def damaged(chance: random.Random, part: bytes, tokens: tuple[bytes, ...]) -> bytes:
    """A part with one to four small changes."""
    data = bytearray(part)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice((1, 2, 4, 16)))
        match chance.randrange(8):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[min(at, len(data) - 1)] = chance.choice(_EDGES)
            case 2 if data:
                data[min(at, len(data) - 1)] = chance.randrange(256)
            case 3:
                del data[at:to]
            case 4:
                data[at:at] = data[at:to] * chance.choice((1, 3, 40))
            case 5:
                data[at:at] = bytes([chance.choice(_EDGES)]) * chance.choice((1, 1, 1, 300))
            case 6:
                del data[at:]
            case _ if tokens:
                data[at : chance.choice((at, to))] = chance.choice(tokens)
    return bytes(data)
