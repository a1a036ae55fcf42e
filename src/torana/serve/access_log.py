"""The access log: one line for each finished request, written by a thread of its own.

``record`` is called from the loop and from worker threads; it queues a tuple and returns. One daemon thread formats
and writes whole lines in batches. The queue is bounded: what does not fit is dropped and counted (G-097).
Never here: what a line looks like (``access_format.py``).
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from torana.serve.access_format import LINE_BYTES, AccessFormat, Entry, legal_request_id
from torana.serve.options import AccessLogOptions

#: Entries that may wait, and bytes of unusually long values among them.
QUEUE_ENTRIES = 16_384
QUEUE_BYTES = 8 * 1024 * 1024
#: An entry whose client-made parts are longer than this is counted in bytes as well.
_LONG_BYTES = 768
#: No value is kept longer than a line can show.
_VALUE_BYTES = 4096
#: Lines formatted between two offers to let other threads run: the loop must not wait 5 ms for our sake.
_CHUNK = 16
#: Pause between batches, and between attempts to write to a file that failed.
_GATHER_S = 0.02
_RETRY_S = 5.0
_REPORT_S = 5.0


def open_access_log(options: AccessLogOptions) -> AccessLog | None:
    """The access log that the options ask for, started; None when it is off. ``ConfigError`` for a bad format."""
    if not options.is_on:
        return None
    log = AccessLog(options)
    log.start()
    return log


class AccessLog:
    """Queue and writer of one worker's access log; make it after the fork, as its thread does not survive one."""

    # Attributes are typed in access_log.pxd.
    def __init__(self, options: AccessLogOptions, report: Callable[[str], None] | None = None) -> None:
        is_stdout = options.file == "-"
        self._path = None if is_stdout else options.file
        self._fd = 1 if is_stdout else -1
        ready = AccessFormat(options.format, is_terminal=is_stdout and _is_terminal(1))
        self._write_line = ready.write
        self._request_places = {name: place for place, name in enumerate(ready.request_names)}
        self._response_places = {name: place for place, name in enumerate(ready.response_names)}
        self._no_response = [None] * len(ready.response_names)
        self._request_count = len(ready.request_names)
        self._response_count = len(ready.response_names)
        self._queue: deque[Entry] = deque()
        self._long_added = 0
        self._long_taken = 0
        #: Entries lost because the queue was full, and lines lost because they could not be written.
        self.dropped = 0
        self.lost = 0
        self._report = logging.getLogger("torana").warning if report is None else report
        self._told = 0
        self._told_at = float("-inf")
        self._failed_at = float("-inf")
        self._error: str | None = None
        self._is_torn = False
        self._is_idle = False
        self._is_reopening = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._id_prefix = os.urandom(6).hex() + "-"
        self._id_count = 0

    def record(
        self,
        client: str | None,
        method: str,
        target: bytes,
        version: str,
        status: int,
        sent_bytes: int,
        duration_s: float,
        started_s: float,
        request_id: str | None,
        fields: list[tuple[bytes, bytes]],
        response_fields: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Queue one finished request; any thread may call it. ``started_s`` is wall-clock time.

        ``target`` is as received; ``request_id`` None is a legal X-Request-ID, or made up when the line is written.
        """
        if len(self._queue) >= QUEUE_ENTRIES:
            self.dropped += 1
            return
        if len(target) > _VALUE_BYTES:
            target = target[:_VALUE_BYTES]
        size = len(target)
        asked: list[Any] = [None] * self._request_count
        for name, value in fields:
            place = self._request_places.get(name)
            if place is not None and asked[place] is None:
                kept = value if len(value) <= _VALUE_BYTES else value[:_VALUE_BYTES]
                size += len(kept)
                asked[place] = kept
        told: list[Any] = self._no_response
        if self._response_count != 0 and response_fields is not None:
            told = [None] * self._response_count
            for name, value in response_fields:
                place = self._response_places.get(name.lower())
                if place is not None and told[place] is None:
                    kept = value if len(value) <= _VALUE_BYTES else value[:_VALUE_BYTES]
                    size += len(kept)
                    told[place] = kept
        if size <= _LONG_BYTES:
            size = 0
        elif self._long_added - self._long_taken > QUEUE_BYTES:
            self.dropped += 1
            return
        self._long_added += size
        self._queue.append(
            (client, method, target, version, status, sent_bytes, duration_s, started_s, request_id, asked, told, size)
        )
        # Appended first, looked at second: the writer does these in the other order, so none is forgotten.
        if self._is_idle:
            self._is_idle = False
            self._wake.set()

    def next_request_id(self) -> str:
        """An id that no other request of this worker has; cheap, and not a secret."""
        self._id_count += 1
        return f"{self._id_prefix}{self._id_count:x}"

    def request_id(self, fields: list[tuple[bytes, bytes]]) -> str:
        """The request's own X-Request-ID if it is legal, else a new id."""
        for name, value in fields:
            if name == b"x-request-id":
                return legal_request_id(value) or self.next_request_id()
        return self.next_request_id()

    def start(self) -> None:
        """Start the writer; once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="torana-access-log", daemon=True)
            self._thread.start()

    def reopen(self) -> None:
        """Write to a newly opened file from the next batch on (after a rotation by rename)."""
        self._is_reopening = True
        self._wake.set()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits and end the writer; a reader that has stalled cannot hold us longer than ``timeout_s``."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    # --- the writer's thread

    def _run(self) -> None:
        if self._path is not None:
            self._open(time.monotonic())
        while True:
            try:
                self._flush()
            except Exception as error:  # A bug in a line must not end the log.
                self._error = f"{type(error).__name__}: {error}"
                self.lost += 1
            self._tell()
            # Gather a batch, so that a busy worker does not wake us for each line; the end cuts the pause short.
            self._closing.wait(_GATHER_S)
            if self._queue or self._is_reopening:
                continue
            if self._closing.is_set():
                break
            self._is_idle = True
            if not self._queue:
                self._long_taken = self._long_added
                self._wake.wait(_RETRY_S)
            self._is_idle = False
            self._wake.clear()
        if self._path is not None and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> None:
        """Write everything that waits at this moment."""
        if self._is_reopening:
            self._is_reopening = False
            if self._path is not None:
                self._open(time.monotonic())
        left = len(self._queue)
        while left > 0:
            lines = []
            size = 0
            while left > 0 and size < 64 * 1024:
                for _ in range(min(left, _CHUNK)):
                    line = self._line(self._queue.popleft())
                    lines.append(line)
                    size += len(line)
                    left -= 1
                time.sleep(0)
            self._put("".join(lines).encode("ascii", "replace"), len(lines))

    def _line(self, entry: Entry) -> str:
        self._long_taken += entry[11]
        if entry[8] is None:
            request_id = legal_request_id(entry[9][0]) or self.next_request_id()
            entry = (*entry[:8], request_id, *entry[9:])
        line = self._write_line(entry)
        if len(line) > LINE_BYTES:
            line = line[: LINE_BYTES - 3] + "..."
        return line + "\n"

    def _put(self, data: bytes, lines: int) -> None:
        """Write a batch of whole lines; what cannot be written is counted, never waited for."""
        now = time.monotonic()
        if self._fd < 0 and (now - self._failed_at < _RETRY_S or not self._open(now)):
            self.lost += lines
            return
        done = 0
        if self._is_torn:
            data = b"\n" + data
        try:
            while done < len(data):
                try:
                    done += os.write(self._fd, memoryview(data)[done:])
                except BlockingIOError:
                    # Somebody made our descriptor non-blocking, or it is a FIFO: wait for its reader, but not for ever.
                    if not _wait_writable(self._fd, 1.0) and self._closing.is_set():
                        raise
        except OSError as error:
            self.lost += lines - max(0, data.count(b"\n", 0, done) - self._is_torn)
            self._fail(error, now)
        if done > 0:
            # A line cut short by a full disk must not swallow the next one.
            self._is_torn = data[done - 1] != 10

    def _open(self, now: float) -> bool:
        """Open the file anew; the old descriptor goes only when there is a new one."""
        if self._path is None:
            self._fd = 1
            return True
        try:
            # O_NONBLOCK: a FIFO without a reader fails instead of holding this thread for ever.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(self._path, flags, 0o640)
        except OSError as error:
            if self._fd < 0:
                self._fail(error, now)
            else:
                self._error = f"{os.strerror(error.errno or 0)} (still writing to the old file)"
            return False
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        return True

    def _fail(self, error: OSError, now: float) -> None:
        self._error = os.strerror(error.errno or 0)
        self._failed_at = now
        if self._path is not None and self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _tell(self) -> None:
        """Say in the error log what was lost, at most every few seconds."""
        gone = self.dropped + self.lost
        now = time.monotonic()
        if (gone == self._told and self._error is None) or now - self._told_at < _REPORT_S:
            return
        reason = f": {self._error}" if self._error is not None else ""
        self._report(f"access log {self._path or 'on standard output'}: {gone - self._told} lines lost{reason}")
        self._told, self._told_at, self._error = gone, now, None


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _wait_writable(fd: int, timeout_s: float) -> bool:
    waiter = select.poll()
    waiter.register(fd, select.POLLOUT)
    return bool(waiter.poll(timeout_s * 1000))
