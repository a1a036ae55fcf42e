"""Runs a command as an unprivileged user under a profile: ``python confined.py ORDER COMMAND...``, ORDER being JSON.

Stands alone; what a service manager or a container runtime does last before it executes the command. Never here: the
file system around it (``room``).
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import libseccomp

#: prctl(2): no memory both writable and executable, as MemoryDenyWriteExecute= has it.
_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1
#: capset(2).
_CAPABILITY_VERSION_3 = 0x20080522


def give_up_privileges(uid: int, owned: list[str]) -> None:
    """Become ``uid``, with no groups; it gets these directories."""
    for path in owned:
        os.chown(path, uid, uid)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # The kernel took the effective ones; what a program could inherit is left.
    ctypes.CDLL(None).capset(struct.pack("=II", _CAPABILITY_VERSION_3, 0), bytes(24))


def main(order: dict[str, Any], command: list[str]) -> None:
    """Never returns."""
    if order.get("uid"):
        give_up_privileges(order["uid"], order["owned"])
    program = libseccomp.compiled(json.loads(Path(order["profile"]).read_text()), os.uname().machine)
    ctypes.CDLL(None).prctl(_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)
    if "watcher" not in order:
        libseccomp.install(program)
        os.execv(command[0], command)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(order["watcher"])
        listener = libseccomp.install(libseccomp.observed(program), is_observed=True)
        socket.send_fds(channel, [b"!"], [listener])
    os.close(listener)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
