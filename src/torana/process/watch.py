"""Which watched files changed: by watchfiles where it is installed, by looking at their times otherwise.

A watcher runs in a thread and wakes the reloader through a descriptor; what to do then is ``reload``'s.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable
from fnmatch import fnmatch

from torana.process.options import ReloadOptions

#: Least time between two looks; a large tree is looked at less often, so that looking stays below a tenth of one CPU.
_PAUSE_S = 0.12
_SHARE = 10
#: How long files must be quiet before a change counts: editors write in several steps.
_QUIET_S = 0.03
#: A native watch says after this time, if nothing changes, that it stands.
_STANDS_MS = 100

Snapshot = dict[str, tuple[int, int, int]]


class Watcher:
    """Watches until closed. ``fileno`` becomes readable when something changed; ``take`` says what."""

    def __init__(self, options: ReloadOptions) -> None:
        self._options = options
        self._dirs = tuple(os.path.abspath(path) for path in options.dirs or (os.curdir,))
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._stopping = threading.Event()
        self._before: Snapshot = {}
        self._thread = threading.Thread(target=self._run, name="torana-watch", daemon=True)

    @property
    def how(self) -> str:
        """How files are watched."""
        return "watchfiles" if _has_watchfiles() else "polling"

    def start(self) -> None:
        """Begin to watch: what changes from now on is told."""
        # Not in the thread: what is imported from now on may change before that has looked. Nor earlier: the child that
        # imports it starts up meanwhile.
        self._before = self.look()
        self._thread.start()

    def fileno(self) -> int:
        """Readable when something changed."""
        return self._reader

    def take(self) -> list[str]:
        """The paths that changed since the last call, sorted."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)
        with self._lock:
            changed, self._changed = sorted(self._changed), set()
        return changed

    def close(self) -> None:
        """Stop watching."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)
        os.close(self._reader)
        os.close(self._writer)

    def _tell(self, paths: Iterable[str]) -> None:
        with self._lock:
            self._changed.update(paths)
        os.write(self._writer, b"\0")

    def _run(self) -> None:
        if _has_watchfiles():
            self._watch()
        else:
            self._poll()

    def _watch(self) -> None:
        from watchfiles import watch

        # Once it stands it tells what changes; what changed before is found by looking. The first word from it, wanted
        # or not, says that it stands.
        stands = False

        def is_wanted(_: object, path: str) -> bool:
            return not stands or self.is_watched(path)

        for changes in watch(
            *self._dirs, watch_filter=is_wanted, debounce=400, step=int(_QUIET_S * 1000),
            stop_event=self._stopping, rust_timeout=_STANDS_MS, yield_on_timeout=True, raise_interrupt=False,
            ignore_permission_denied=True,
        ):  # fmt: skip
            changed = {path for _, path in changes if self.is_watched(path)}
            if not stands:
                stands = True
                changed |= self._changed_by(self.look())
            if changed:
                self._tell(changed)

    def _poll(self) -> None:
        took_s = 0.0
        while not self._stopping.wait(max(_PAUSE_S, took_s * _SHARE)):
            began = time.monotonic()
            now = self.look()
            took_s = time.monotonic() - began
            if changed := self._changed_by(now):
                self._tell(changed)

    def _changed_by(self, now: Snapshot) -> set[str]:
        """What changed since the look before; if anything, as soon as the files are quiet."""
        if now == self._before:
            return set()
        while not self._stopping.wait(_QUIET_S) and (later := self.look()) != now:
            now = later
        before, self._before = self._before, now
        return {path for path, _ in set(now.items()) ^ set(before.items())}

    def look(self) -> Snapshot:
        """All watched files with what changes when they do: (modified, size, inode)."""
        found: Snapshot = {}
        waiting = list(self._dirs)
        seen: set[tuple[int, int]] = set()
        while waiting:
            try:
                entries = list(os.scandir(waiting.pop()))
            except OSError:
                continue
            for entry in entries:
                with contextlib.suppress(OSError):
                    self._look_at(entry, found, waiting, seen)
        return found

    def _look_at(
        self, entry: os.DirEntry[str], found: Snapshot, waiting: list[str], seen: set[tuple[int, int]]
    ) -> None:
        if self._is_excluded(entry.name):
            return
        if entry.is_dir():
            # A link may lead back up: each directory is entered once.
            about = entry.stat()
            if (about.st_dev, about.st_ino) not in seen:
                seen.add((about.st_dev, about.st_ino))
                waiting.append(entry.path)
        elif self._is_included(entry.name):
            about = entry.stat()
            found[entry.path] = (about.st_mtime_ns, about.st_size, about.st_ino)

    def is_watched(self, path: str) -> bool:
        """Whether a change of a file matters: its name is included, and nothing below its directory excluded."""
        for directory in self._dirs:
            if path.startswith(directory.rstrip(os.sep) + os.sep):
                parts = os.path.relpath(path, directory).split(os.sep)
                return self._is_included(parts[-1]) and not any(map(self._is_excluded, parts))
        return False

    def _is_included(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self._options.include)

    def _is_excluded(self, name: str) -> bool:
        return any(fnmatch(name, pattern) for pattern in self._options.exclude)


def _has_watchfiles() -> bool:
    from importlib.util import find_spec

    return find_spec("watchfiles") is not None
