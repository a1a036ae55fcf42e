"""``wsgi.file_wrapper``: what the system sends by itself, what is read instead, and that files are always closed."""

# The wrapper's business is files that are handed over open.
# ruff: noqa: SIM115

from __future__ import annotations

import gzip
import io
import os
import tempfile

import pytest

from tests.unit.gateway.wsgi_stage import RecordingChannel, Stage, run
from torana.exchange.response import ClientDisconnected
from torana.gateway.options import GatewayOptions
from torana.gateway.wsgi.file_wrapper import FileWrapper, span_of

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def sending(make, headers=(), status="200 OK", wrap=None):
    def app(environ, start_response):
        start_response(status, list(headers))
        result = environ["wsgi.file_wrapper"](make())
        return wrap(result) if wrap else result

    return app


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_plain_file_is_left_to_the_system(path, buffering):
    made = []

    def make():
        made.append(open(path, "rb", buffering=buffering))
        return made[-1]

    channel = run(sending(make))
    assert channel.files == [(0, 1024, CONTENT)]
    assert (channel.length, channel.is_ended) == (1024, True)
    assert made[0].closed


def test_from_the_present_position_up_to_the_declared_length(path):
    def make():
        file = open(path, "rb")
        file.read(5)
        file.seek(10)
        return file

    channel = run(sending(make, [("Content-Length", "20")]))
    assert channel.files == [(10, 20, CONTENT[10:30])]
    assert channel.length == 20
    assert run(sending(make)).files == [(10, 1014, CONTENT[10:])]


def test_after_write_the_rest_of_the_declared_length(path):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "20")])(b"x" * 5)
        return environ["wsgi.file_wrapper"](open(path, "rb"))

    channel = run(app)
    assert (channel.body, channel.files) == (b"x" * 5, [(0, 15, CONTENT[:15])])


def test_a_file_shorter_than_declared_is_an_error(path):
    before = open_descriptors()
    channel = run(sending(lambda: open(path, "rb"), [("Content-Length", "2000")]))
    assert (channel.status, channel.files) == (500, [])
    assert open_descriptors() <= before + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: type("Own", (), {"read": io.BytesIO(path.read_bytes()).read})(),
        lambda path: type("Sub", (io.FileIO,), {"read": lambda self, size=-1: io.FileIO.read(self, 7)})(path),
    ],
)
def test_what_is_no_plain_file_is_read(path, make):
    channel = run(sending(lambda: make(path)))
    assert (channel.files, channel.body, channel.is_ended) == ([], CONTENT, True)


def test_a_decompressing_file_sends_its_content_not_its_bytes(tmp_path):
    path = tmp_path / "file.gz"
    with gzip.open(path, "wb") as file:
        file.write(CONTENT)
    assert run(sending(lambda: gzip.open(path, "rb"))).body == CONTENT
    assert run(sending(lambda: io.BufferedReader(gzip.open(path, "rb")))).body == CONTENT  # type: ignore[arg-type]


def test_named_and_unflushed_temporary_files():
    def named():
        file = tempfile.NamedTemporaryFile()
        file.write(CONTENT)
        file.seek(0)
        return file

    assert run(sending(named)).files == [(0, 1024, CONTENT)]

    def unflushed():
        file = tempfile.TemporaryFile()
        file.write(CONTENT)
        file.seek(1000)
        file.write(b"tail")
        file.seek(996)
        return file

    assert run(sending(unflushed)).files == [(996, 28, CONTENT[996:1000] + b"tail" + CONTENT[1004:])]


def test_files_without_a_true_size_are_read():
    assert run(sending(lambda: open("/proc/self/cmdline", "rb"))).body


def test_a_pipe_is_read():
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    channel = run(sending(lambda: os.fdopen(reading, "rb")))
    assert (channel.files, channel.body) == ([], b"through a pipe")


def test_nothing_is_read_until_the_server_gets_it_back():
    class Watched(io.BytesIO):
        def read(self, *_):
            raise AssertionError("read")

    def app(environ, start_response):
        environ["wsgi.file_wrapper"](Watched(b"x"), 10)
        start_response("200 OK", [])
        return [b"other"]

    assert run(app).body == b"other"


def test_middleware_may_wrap_the_wrapper(path):
    with open(path, "rb") as file:
        channel = run(sending(lambda: file, wrap=lambda result: (block for block in result)))
    assert (channel.files, channel.body) == ([], CONTENT)


def test_a_subclass_of_the_wrapper_is_a_plain_iterable(path):
    class Upper(FileWrapper):
        def __next__(self):
            return super().__next__()[:3]

    def app(environ, start_response):
        start_response("200 OK", [])
        return Upper(open(path, "rb"), 512)

    channel = run(app)
    assert (channel.files, channel.blocks) == ([], [CONTENT[:3], CONTENT[:3]])


def test_close_is_there_if_the_file_has_one_and_called_once():
    class Counted(io.BytesIO):
        closes = 0

        def close(self):
            type(self).closes += 1
            super().close()

    run(sending(lambda: Counted(b"x" * 10)))
    assert Counted.closes == 1

    class Bare:
        def read(self, size):
            return b""

    assert not hasattr(FileWrapper(Bare()), "close")
    assert run(sending(Bare)).is_ended


@pytest.mark.parametrize("status", ["200 OK", "304 Not Modified"])
def test_no_body_no_file(path, status):
    made = []

    def make():
        made.append(open(path, "rb"))
        return made[-1]

    channel = run(sending(make, status=status), method="HEAD" if status[0] == "2" else "GET")
    assert (channel.files, channel.body, channel.length, channel.is_ended) == ([], b"", -2, True)
    assert channel.header(b"content-length") == (b"1024" if status[0] == "2" else None)
    assert made[0].closed


def test_at_the_end_of_a_file_there_is_nothing_to_send(path):
    def make():
        file = open(path, "rb")
        file.seek(0, 2)
        return file

    channel = run(sending(make))
    assert (channel.files, channel.length, channel.is_ended) == ([], 0, True)


def test_the_descriptor_is_closed_when_the_client_is_gone(path):
    class Gone(RecordingChannel):
        def respond(self, *_):
            raise ClientDisconnected("gone")

    def once():
        with Stage(sending(lambda: open(path, "rb")), GatewayOptions(threads=1)) as stage:
            request, response, _ = stage.begin()
            channel = Gone()
            request.channel = response.channel = channel
            stage.finish()

    once()
    before = open_descriptors()
    for _ in range(5):
        once()
    assert open_descriptors() <= before + 1


def test_closed_files_raise_like_reading_them(path):
    def make():
        file = open(path, "rb")
        file.close()
        return file

    assert span_of(FileWrapper(make())) is None
    assert run(sending(make)).status == 500
