"""Listening sockets of every kind, with real sockets."""

from __future__ import annotations

import errno
import gc
import os
import resource
import select
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torana.base.errors import BindError, ConfigError
from torana.net.address import Address, Kind
from torana.net.listener import Listener, Queue, backlog_warning, client_of, open_listeners, systemd_fds, unsent_bytes
from torana.net.options import ListenOptions, TlsOptions

Open = Callable[..., list[Listener]]


@pytest.fixture
def opening() -> Iterator[Open]:
    opened: list[Listener] = []

    def open_them(*binds: str, environ_fds: dict[str, str] | None = None, **options: object) -> list[Listener]:
        listeners = open_listeners(ListenOptions(binds=binds, **options), environ_fds)  # type: ignore[arg-type]
        opened.extend(listeners)
        return listeners

    yield open_them
    for listener in opened:
        listener.close()


def connect(listener: Listener) -> socket.socket:
    client = socket.socket(listener.sock.family, socket.SOCK_STREAM)
    client.settimeout(5)
    wanted = listener.waiting() + 1
    client.connect(listener.sock.getsockname())
    # The client's side may be done a moment before ours.
    select.select([listener], [], [], 5)
    if sys.platform == "linux" and not listener.is_unix:
        # Readable it was already if another one waits.
        deadline = time.monotonic() + 5
        while listener.waiting() < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
    return client


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_port_0_becomes_the_kernels_port(opening: Open) -> None:
    (listener,) = opening("127.0.0.1:0")
    assert listener.address.port == listener.sock.getsockname()[1] != 0
    assert listener.server == ("127.0.0.1", listener.address.port)
    assert listener.describe() == f"http://127.0.0.1:{listener.address.port}"
    assert not listener.is_unix and not listener.tls


def test_accepted_sockets_are_non_blocking_without_delay_and_not_inherited(opening: Open) -> None:
    (listener,) = opening("127.0.0.1:0")
    with connect(listener) as client:
        taken, queue = listener.accept_batch(8)
        assert queue is Queue.EMPTY
        [(sock, name)] = taken
        with sock:
            assert name == client.getsockname()
            assert sock.gettimeout() == 0
            assert not os.get_blocking(sock.fileno())
            assert not sock.get_inheritable()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_batch_stops_at_its_limit(opening: Open) -> None:
    (listener,) = opening("127.0.0.1:0")
    clients = [connect(listener) for _ in range(3)]
    taken, queue = listener.accept_batch(2)
    assert (len(taken), queue) == (2, Queue.MORE)
    rest, queue = listener.accept_batch(2)
    assert (len(rest), queue) == (1, Queue.EMPTY)
    assert listener.accept_batch(2) == ([], Queue.EMPTY)
    for sock in [*clients, *(sock for sock, _ in taken + rest)]:
        sock.close()


class Scripted:
    """A listening socket that says what it is told to."""

    family = socket.AF_INET

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.calls = 0

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self.calls += 1
        if not self.errors:
            raise BlockingIOError(errno.EAGAIN, "empty")
        number = self.errors.pop(0)
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EIO])
def test_a_starved_machine_is_not_asked_again_in_the_batch(number: int) -> None:
    sock = Scripted(number, number)
    listener = Listener(sock, Address(Kind.TCP))  # type: ignore[arg-type]
    assert listener.accept_batch(64) == ([], Queue.STARVED)
    assert sock.calls == 1
    assert listener.last_error is not None and listener.last_error.errno == number


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EHOSTUNREACH])
def test_a_connection_that_died_in_the_queue_is_passed_over(number: int) -> None:
    sock = Scripted(number, number)
    listener = Listener(sock, Address(Kind.TCP))  # type: ignore[arg-type]
    assert listener.accept_batch(64) == ([], Queue.EMPTY)
    assert sock.calls == 3


def test_endless_aborts_end_with_the_batch() -> None:
    sock = Scripted(*[errno.ECONNABORTED] * 1000)
    assert Listener(sock, Address(Kind.TCP)).accept_batch(64) == ([], Queue.MORE)  # type: ignore[arg-type]
    assert sock.calls == 64


def test_a_real_lack_of_descriptors_starves_and_recovers(opening: Open) -> None:
    import resource

    (listener,) = opening("127.0.0.1:0")
    with connect(listener):
        # What earlier tests have left shall not be closed meanwhile.
        gc.collect()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir("/dev/fd"))
        fillers = [os.dup(listener.fileno()) for _ in range(highest + 4 - len(os.listdir("/dev/fd")))]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(fillers) + 1, hard))
        try:
            assert listener.accept_batch(4) == ([], Queue.STARVED)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in fillers:
                os.close(fd)
        [(sock, _)], queue = listener.accept_batch(4)
        assert queue is Queue.EMPTY
        sock.close()


def test_an_address_in_use_is_named(opening: Open) -> None:
    (listener,) = opening("127.0.0.1:0")
    with pytest.raises(BindError, match=rf"http://127\.0\.0\.1:{listener.address.port}: .*in use") as caught:
        opening(f"127.0.0.1:{listener.address.port}")
    assert caught.value.exit_code == 4


def test_all_or_none_are_opened(opening: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket() as free:
        # Bound, so that nobody else gets the port meanwhile; it does not listen, so we may.
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        if sys.platform != "linux":
            # Elsewhere it would keep us from it too.
            free.close()
        with pytest.raises(BindError):
            opening(f"127.0.0.1:{port}", f"127.0.0.1:{busy.getsockname()[1]}")
        (again,) = opening(f"127.0.0.1:{port}")
        assert again.address.port == port


def test_an_address_of_another_machine_is_not_available(opening: Open) -> None:
    with pytest.raises(BindError, match="no such address"):
        opening("192.0.2.1:8000")


def test_an_unknown_host_is_named(opening: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(BindError, match=r"host 'no\.such\.host': Name"):
        opening("no.such.host:80")


def test_a_name_of_several_addresses_listens_on_all_with_one_port(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def two(host: str, *args: object, **kwargs: object) -> list[object]:
        if host == "localhost":
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            ]
        return real(host, *args, **kwargs)  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    listeners = opening("localhost:0")
    hosts = [listener.address.host for listener in listeners]
    # Without IPv6 on this machine the one address that works is enough.
    assert hosts == (["::1", "127.0.0.1"] if has_ipv6() else ["127.0.0.1"])
    assert len({listener.address.port for listener in listeners}) == 1


def test_every_interface_is_v4_and_v6_apart(opening: Open) -> None:
    listeners = opening(":0")
    assert [listener.address.host for listener in listeners] == (["0.0.0.0", "::"] if has_ipv6() else ["0.0.0.0"])
    for listener in listeners[1:]:
        assert listener.sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_tls_options_mark_the_listener(opening: Open) -> None:
    (listener,) = opening("127.0.0.1:0", tls=TlsOptions(certfile="x.pem"))
    assert listener.tls
    assert listener.describe().startswith("https://")


# --- unix sockets


def test_a_unix_socket_has_the_wanted_mode_and_goes_at_close(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (listener,) = opening(f"unix:{path}", socket_mode=0o660, socket_owner=f"{os.getuid()}:{os.getgid()}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert listener.is_unix and listener.server == (str(path), None)
    with connect(listener):
        [(sock, name)], _ = listener.accept_batch(1)
        assert name is None
        sock.close()
    listener.close()
    assert not path.exists()


def test_without_a_mode_the_umask_decides(opening: Open, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        opening(f"unix:{tmp_path / 'a.sock'}")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == 0o640


def test_a_stale_socket_file_is_replaced(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = opening(f"unix:{path}")
    with connect(listener):
        taken, _ = listener.accept_batch(1)
        taken[0][0].close()


def test_a_living_socket_is_left_alone(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (first,) = opening(f"unix:{path}")
    with pytest.raises(BindError, match="another program is listening"):
        opening(f"unix:{path}")
    with connect(first):
        pass


def test_a_living_socket_with_a_full_queue_is_left_alone(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    opening(f"unix:{path}", backlog=1)
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        waiting.append(client)
        if client.connect_ex(str(path)):
            break
    with pytest.raises(BindError, match="another program is listening"):
        opening(f"unix:{path}")
    for client in waiting:
        client.close()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_never_replaced(opening: Open, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BindError, match="not a socket"):
        opening(f"unix:{path}")
    assert os.path.lexists(path)


def test_close_leaves_the_socket_of_a_successor(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (first,) = opening(f"unix:{path}")
    path.unlink()
    (second,) = opening(f"unix:{path}")
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_a_forked_process_does_not_remove_the_file(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    (listener,) = opening(f"unix:{path}")
    child = os.fork()
    if child == 0:
        listener.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()


def test_a_missing_directory_is_said(opening: Open, tmp_path: Path) -> None:
    with pytest.raises(BindError, match="directory does not exist"):
        opening(f"unix:{tmp_path}/no/a.sock")


def test_an_unknown_owner_is_refused_before_anything_is_made(opening: Open, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="socket_owner 'no-such-user-here'"):
        opening(f"unix:{tmp_path}/a.sock", socket_owner="no-such-user-here")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="abstract names are Linux's")
def test_an_abstract_name_needs_no_file(opening: Open) -> None:
    (listener,) = opening(f"unix:@torana-test-{os.getpid()}")
    with connect(listener):
        taken, _ = listener.accept_batch(1)
        taken[0][0].close()


# --- inherited descriptors


def test_an_inherited_descriptor_listens_and_is_ours_to_close(opening: Open) -> None:
    given = socket.create_server(("127.0.0.1", 0))
    port = given.getsockname()[1]
    fd = given.detach()
    (listener,) = opening(f"fd:{fd}")
    assert (listener.address.host, listener.address.port) == ("127.0.0.1", port)
    assert listener.sock.gettimeout() == 0
    with connect(listener):
        taken, _ = listener.accept_batch(1)
        taken[0][0].close()
    listener.close()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fd)


def test_an_inherited_socket_that_only_was_bound_is_made_to_listen(opening: Open) -> None:
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    (listener,) = opening(f"fd:{given.detach()}")
    with connect(listener):
        pass


def test_the_file_of_an_inherited_unix_socket_stays(opening: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    given = socket.socket(socket.AF_UNIX)
    given.bind(str(path))
    given.listen()
    (listener,) = opening(f"fd:{given.detach()}")
    assert listener.is_unix and listener.server == (str(path), None)
    listener.close()
    assert path.exists()


def test_descriptors_that_are_no_listening_sockets_are_refused_and_stay_open(opening: Open, tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file, pytest.raises(BindError, match="not a socket"):
        opening(f"fd:{file.fileno()}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        with pytest.raises(BindError, match="not a stream socket"):
            opening(f"fd:{datagram.fileno()}")
        os.fstat(datagram.fileno())
    with pytest.raises(BindError, match="no such descriptor"):
        opening("fd:65000")


def test_systemd_descriptors_are_chosen_by_name() -> None:
    given = {"LISTEN_FDS": "3", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "web:admin:web"}
    assert systemd_fds("", given) == [3, 4, 5]
    assert systemd_fds("web", given) == [3, 5]
    with pytest.raises(BindError, match="names: web, admin, web"):
        systemd_fds("other", given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "0", "LISTEN_PID": "self"},
        {"LISTEN_FDS": "-1", "LISTEN_PID": "self"},
        {"LISTEN_FDS": "999999", "LISTEN_PID": "self"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
    ],
)
def test_systemd_values_that_do_not_fit_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(BindError, match="cannot listen on systemd"):
        systemd_fds("", {name: value.replace("self", str(os.getpid())) for name, value in given.items()})


def test_the_environment_itself_is_never_read(opening: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(BindError, match="passed no sockets"):
        opening("systemd")


def test_a_clipped_backlog_is_told() -> None:
    warning = backlog_warning(2048, 128)
    assert warning is not None and "2048" in warning and "128" in warning
    assert backlog_warning(128, 128) is None


def test_ipv4_through_an_ipv6_socket_is_written_as_ipv4() -> None:
    assert client_of(("::ffff:10.0.0.1", 5, 0, 0)) == ("10.0.0.1", 5)
    assert client_of(("::1", 5, 0, 0)) == ("::1", 5)
    assert client_of(("10.0.0.1", 5)) == ("10.0.0.1", 5)


def test_a_copy_that_is_let_go_of_takes_neither_queue_nor_file_away(opening: Open, tmp_path: Path) -> None:
    for bind in ("127.0.0.1:0", f"unix:{tmp_path}/web.sock"):
        (listener,) = opening(bind)
        held = listener.sock.dup()
        with held, connect(listener):
            listener.let_go()
            assert listener.fileno() == -1
            held.accept()[0].close()
    assert (tmp_path / "web.sock").exists()
    # Not even a later close removes the file.
    listener.close()
    assert (tmp_path / "web.sock").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_queue_is_counted(opening: Open, tmp_path: Path) -> None:
    (listener,) = opening("127.0.0.1:0")
    assert listener.waiting() == 0
    clients = [connect(listener) for _ in range(3)]
    assert listener.waiting() == 3
    taken, _ = listener.accept_batch(2)
    assert listener.waiting() == 1
    for sock in (*clients, *(sock for sock, _ in taken)):
        sock.close()
    (unix,) = opening(f"unix:{tmp_path}/web.sock")
    with connect(unix):
        assert unix.waiting() == 0


@pytest.mark.parametrize(
    ("pages", "most"), [(1 << 30, 128 * 1024), (4, 16 * 1024), (64 * 1024 * 32 * 1024 // resource.getpagesize(), 65536)]
)
def test_what_the_kernel_holds_for_a_client_depends_on_its_memory(pages: int, most: int) -> None:
    assert unsent_bytes(pages) == most


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="has no such option")
def test_accepted_sockets_inherit_what_the_kernel_may_hold(opening: Open) -> None:
    (listener,) = opening("127.0.0.1:0")
    with connect(listener):
        ((sock, _),), _ = listener.accept_batch(1)
        with sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == unsent_bytes()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
