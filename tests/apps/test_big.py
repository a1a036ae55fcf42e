"""Bodies of 2 GiB both ways, through ASGI and WSGI, while the server's resident memory grows by less than 32 MiB."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.big_pattern import PIECE_BYTES, Checker, pieces
from tests.support.memory import Watch, require_proc
from tests.support.raw import Connection
from tests.support.server import Server, running

HERE = Path(__file__).parent
TOTAL_BYTES = 2 * 1024**3
LIMIT_BODY_BYTES = 3 * 1024**3
GROWTH_BYTES = 32 * 1024**2
WARM_BYTES = 4 * 1024**2
#: One look at the server's memory for so many pieces.
LOOK_EVERY = 32


@pytest.fixture(scope="module")
def sparse_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 2 GiB that takes no room."""
    path = tmp_path_factory.mktemp("big") / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(TOTAL_BYTES)
    return path


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server under test keeps what it spools."""
    folder = tmp_path_factory.mktemp("spool")
    if shutil.disk_usage(folder).free < TOTAL_BYTES * 3 // 2:
        pytest.skip(f"needs 3 GiB of free disk in {folder} for the spooled upload")
    return folder


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str, spool: Path, sparse_file: Path) -> Iterator[Server]:
    require_proc()
    with running(
        f"big_site:{kind}_app",
        "--interface",
        kind,
        "--limit-body",
        str(LIMIT_BODY_BYTES),
        "--threads",
        "2",
        app_dir=HERE,
        environment={"TMPDIR": str(spool), "BIG_FILE": str(sparse_file)},
    ) as server:
        # What is loaded on first use is no growth.
        upload(server, WARM_BYTES, None, is_chunked=False)
        download(server, f"/down?{WARM_BYTES}", Checker(), None)
        yield server


def upload(server: Server, total_bytes: int, watch: Watch | None, *, is_chunked: bool) -> dict[str, object]:
    framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {total_bytes}"
    with Connection(server.address, timeout_s=60) as connection:
        connection.request("POST", "/up", framing)
        for number, piece in enumerate(pieces(total_bytes)):
            if is_chunked:
                connection.send(b"%x\r\n" % len(piece))
            connection.send(piece)
            if is_chunked:
                connection.send(b"\r\n")
            if watch is not None and number % LOOK_EVERY == 0:
                watch.look()
        if is_chunked:
            connection.send(b"0\r\n\r\n")
        answer = connection.read("POST")
        assert answer.status == 200, answer
        if watch is not None:
            watch.look()
        result: dict[str, object] = json.loads(answer.body)
        return result


class Zeros(Checker):
    """Sees whether all it is fed is zeros."""

    _none = bytes(PIECE_BYTES)

    def feed(self, data: bytes) -> None:
        """Add data."""
        self.is_sound = self.is_sound and data == self._none[: len(data)]
        self.count += len(data)


def download(server: Server, target: str, checker: Checker, watch: Watch | None) -> None:
    """Read a body as it comes: by Content-Length, or chunk by chunk."""
    with Connection(server.address, timeout_s=60) as connection:
        connection.request("GET", target)
        head = connection.read_head()
        assert head.status == 200, head
        if (length := head.get("content-length")) is not None:
            read_length(connection, int(length), checker, watch)
        else:
            assert head.get("transfer-encoding") == b"chunked"
            while size := int(connection.read_until(b"\r\n"), 16):
                read_length(connection, size, checker, watch)
                assert connection.read_exactly(2) == b"\r\n"
            assert connection.read_exactly(2) == b"\r\n"


def read_length(connection: Connection, count: int, checker: Checker, watch: Watch | None) -> None:
    while count:
        data = connection.read_exactly(min(count, PIECE_BYTES))
        before = checker.count
        checker.feed(data)
        count -= len(data)
        if watch is not None and before // PIECE_BYTES // LOOK_EVERY != checker.count // PIECE_BYTES // LOOK_EVERY:
            watch.look()


def assert_small(watch: Watch) -> None:
    assert watch.growth_bytes < GROWTH_BYTES, (
        f"resident memory grew by {watch.growth_bytes / 1024**2:.1f} MiB from {watch.start_bytes / 1024**2:.1f} MiB"
    )


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_upload(server: Server, kind: str, spool: Path, is_chunked: bool) -> None:
    if is_chunked is (kind == "asgi"):
        pytest.skip("ASGI takes the 2 GiB with a length, WSGI in chunks: the other half is in test_flask and test_curl")
    watch = Watch(server.pid)
    result = upload(server, TOTAL_BYTES, watch, is_chunked=is_chunked)
    assert (result["count"], result["is_sound"]) == (TOTAL_BYTES, True)
    assert_small(watch)
    assert list(spool.iterdir()) == [], "nothing spooled stays behind"


def test_download_streamed(server: Server) -> None:
    watch, checker = Watch(server.pid), Checker()
    download(server, f"/down?{TOTAL_BYTES}", checker, watch)
    assert (checker.count, checker.is_sound) == (TOTAL_BYTES, True)
    assert_small(watch)


def test_download_of_a_file(server: Server) -> None:
    """By http.response.pathsend (ASGI) and wsgi.file_wrapper (WSGI)."""
    watch, zeros = Watch(server.pid), Zeros()
    download(server, "/file", zeros, watch)
    assert (zeros.count, zeros.is_sound) == (TOTAL_BYTES, True)
    assert_small(watch)


def test_slow_reader_is_not_buffered_for(server: Server) -> None:
    """A client that takes nothing for a while holds up the application, not the server's memory."""
    watch = Watch(server.pid)
    with Connection(server.address, receive_buffer_bytes=64 * 1024) as stalled:
        stalled.request("GET", f"/down?{TOTAL_BYTES}")
        stalled.read_head()
        for _ in range(20):
            checker = Checker()
            download(server, f"/down?{WARM_BYTES}", checker, watch)
            assert (checker.count, checker.is_sound) == (WARM_BYTES, True)
            watch.look()
    assert_small(watch)


def test_body_above_the_limit_is_413(server: Server) -> None:
    with Connection(server.address) as connection:
        connection.request("POST", "/up", f"Content-Length: {LIMIT_BODY_BYTES + 1}")
        assert connection.read("POST").status == 413
