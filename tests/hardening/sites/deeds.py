"""What both applications do by path: answer, look around, start programs, and try what is forbidden."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

#: Where the large file is, from the environment.
FOLDER = os.environ.get("SITE_FOLDER", "")


def status() -> str:
    """This process as the kernel sees it."""
    with open("/proc/self/status") as file:
        return file.read()


def digest(body: bytes) -> str:
    """Of an upload."""
    return hashlib.sha256(body).hexdigest()


def programs() -> str:
    """Another program, as applications start them, in three ways."""
    said = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True).stdout
    in_shell = subprocess.run("echo shell", shell=True, capture_output=True, text=True, check=True).stdout
    spawned = os.posix_spawn("/bin/true", ["true"], {})
    return f"{said.strip()} {in_shell.strip()} {os.waitstatus_to_exitcode(os.waitpid(spawned, 0)[1])}"


def commands() -> str:
    """Torana's own: the worker's child asks the supervisor."""
    asked = [sys.executable, "-m", "torana", "status", "--json"]
    done = subprocess.run(asked, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else json.dumps({"ok": False, "why": done.stderr})


def files() -> str:
    """What an application may do with files where it may write."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "one")
        with open(path, "wb+") as file:
            file.write(b"x" * 100)
            file.flush()
            os.fsync(file.fileno())
            file.truncate(10)
            os.fchmod(file.fileno(), 0o600)
        os.rename(path, path + "2")
        os.link(path + "2", path + "3")
        os.symlink(path + "2", path)
        os.utime(path)
        return f"{len(os.listdir(folder))} {os.stat(path).st_size}"


def names() -> str:
    """The resolver, and a connection of the application's own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("localhost", port)) as client, listening.accept()[0] as served:
            client.sendall(b"hello")
            return served.recv(5).decode()


def threads() -> str:
    """Some threads."""
    found: list[int] = []
    started = [threading.Thread(target=lambda: found.append(threading.get_native_id())) for _ in range(4)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return str(len(found))


def threads_of(info: object) -> None:
    """As a hook."""
    print(f"hook {getattr(info, 'event', '?')} of {threads()}", flush=True)


def calls(numbers: str) -> str:
    """Make system calls, NAME:NUMBER,... with arguments of zeros; the names of their errors."""
    libc = ctypes.CDLL(None, use_errno=True)
    results = {}
    for entry in numbers.split(","):
        name, _, number = entry.partition(":")
        answer = libc.syscall(int(number), 0, 0, 0, 0, 0, 0)
        results[name] = "done" if answer >= 0 else errno.errorcode[ctypes.get_errno()]
    return json.dumps(results)


def attempt(what: Callable[[], object]) -> str:
    """The error's name, or "done"."""
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def forbidden() -> str:
    """What an intruder would try from within an application, by the functions of Python."""
    tried: dict[str, Callable[[], object]] = {
        "setuid": lambda: os.setuid(0),
        "setgid": lambda: os.setgid(0),
        "setgroups": lambda: os.setgroups([0]),
        "chroot": lambda: os.chroot("/"),
        "mknod": lambda: os.mknod("/tmp/node"),
        "sethostname": lambda: socket.sethostname("x"),
        "raw": lambda: socket.socket(socket.AF_INET6 + 7, socket.SOCK_RAW),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "write": lambda: Path(__file__).with_name("new").touch(),
        "etc": lambda: Path("/etc/new").touch(),
        "tmp": lambda: Path("/tmp/new").touch(),
    }
    return json.dumps({name: attempt(what) for name, what in tried.items()} | {"namespace": _new_namespace()})


def _new_namespace() -> str:
    """A new user namespace by clone: that call is allowed, this flag is not."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    answer = libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)
    if answer == 0:
        os._exit(0)
    if answer > 0:
        os.waitpid(answer, 0)
        return "done"
    return errno.errorcode[ctypes.get_errno()]


def answer(path: str) -> str:
    """Whatever a path asks for."""
    name, _, rest = path.strip("/").partition("/")
    plain = {"status": status, "programs": programs, "files": files, "names": names, "threads": threads}
    plain |= {"commands": commands}
    if name in plain:
        return plain[name]()
    if name == "forbidden":
        return forbidden()
    if name == "calls":
        return calls(rest)
    return f"{os.getpid()}"
