"""The zygote's side of preload: a process that imports the application once and does nothing but fork workers from it.

It says when the application is imported, or why not, and then obeys one order: fork. A worker is forked twice over (by
a process in between, which ends at once), so that it is nobody's child but the supervisor's, who adopts orphans: the
supervisor waits for it as for any child, and neither notices what becomes of the zygote. When the channel closes the
zygote ends, without the application's ``atexit`` functions: it never served. Never here: when to fork (``plan``), who
asks (``nursery``), what a worker does (``member``).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from types import FrameType
from typing import NoReturn

from torana.base.errors import ToranaError
from torana.net.listener import Listener
from torana.process.channel import Channel, ChannelClosed, ChannelFull, Message
from torana.process.dump import hear_dump_signal
from torana.process.exit_codes import FAILED, STOPPED, exit_code_of
from torana.process.kinship import end_with
from torana.process.leftovers import look_around, warn_of_leftovers
from torana.process.log import set_up_log
from torana.process.member import settle_signals
from torana.process.privileges import become
from torana.process.signals import only_note
from torana.process.spawn import Duty, Errand, fork
from torana.process.worker import Application, load_application

logger = logging.getLogger("torana")

#: What ends an import that nobody wants any more. Afterwards a zygote passes it over, for it is sent to all processes
#: alike when the server ends; and it is held back during a fork, for a worker has its own answer to it.
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def main(errand: Errand) -> Duty:
    """A zygote's whole life. Returns in each new worker, with what that is to do; the zygote's process ends here."""
    settle_signals()
    hear_dump_signal()
    code = FAILED
    born: Duty | None = None
    try:
        born = _live(errand)
        code = STOPPED
    except KeyboardInterrupt:
        code = STOPPED
    except ToranaError as error:
        code = exit_code_of(error)
        _say(errand.channel, {"say": "failed", "code": code, "text": str(error)})
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        _say(errand.channel, {"say": "failed", "code": code, "text": f"{type(error).__name__}: {error}\n\n{text}"})
    finally:
        if born is None:
            _end(code)
    return born


def _end(code: int) -> NoReturn:
    """Not as programs do: threads of the application would be waited for, and its workers may still use what its
    ``atexit`` functions remove.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _live(errand: Errand) -> Duty | None:
    """The duty of a new worker, in that worker; None when the zygote is not needed any more."""
    set_up_log(errand.options.log)
    process = errand.options.process
    # Before the import: what the application does there, it does as the user that it will serve as.
    become(process.user, process.group)
    if not end_with(errand.server_pid, signal.SIGKILL):
        return None
    before = look_around()
    application = load_application(errand.options.application)
    warn_of_leftovers(before)
    # What lies here now shall stay where it is: a collection in a worker would write to each object, and so copy it.
    gc.collect()
    gc.freeze()
    took_ms = (time.monotonic() - errand.began_s) * 1000
    logger.info("Preload: %s is imported (zygote, generation %d) after %.0f ms",
                application.name, errand.generation, took_ms)  # fmt: skip
    if only_note():
        # A stop whose exception got nowhere.
        return None
    for number in _ENDING:
        signal.signal(number, _pass_over)
    _say(errand.channel, {"say": "loaded"})
    return _obey(errand, application)


def _pass_over(number: int, frame: FrameType | None) -> None:
    """The supervisor hears it too, and closes the channel."""


def _say(channel: Channel, message: Message) -> None:
    with contextlib.suppress(ChannelFull):
        channel.send(message)


def _obey(errand: Errand, application: Application) -> Duty | None:
    """Wait for orders until the channel closes; in a new worker, return at once."""
    # Unlike epoll this needs no descriptor, which all workers would share.
    orders = select.poll()
    orders.register(errand.channel, select.POLLIN)
    while True:
        orders.poll()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            heard = errand.channel.receive()
        except ChannelClosed:
            return None
        for message, fds in heard:
            if message.get("do") == "fork" and (duty := _bear(errand, application, message, fds)) is not None:
                return duty
            for fd in fds:
                os.close(fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _bear(errand: Errand, application: Application, order: Message, fds: list[int]) -> Duty | None:
    """Fork a worker and tell its process id; in the worker, return what it is to do."""
    reader, writer = os.pipe()
    try:
        with warnings.catch_warnings():
            # Threads that will be missing were warned about, by name.
            warnings.simplefilter("ignore", DeprecationWarning)
            middle = fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        _say(errand.channel, {"say": "not forked", "errno": error.errno})
        return None
    if middle == 0 and _step_aside(writer):
        os.close(reader)
        os.close(writer)
        errand.channel.close()
        _reseed()
        return _duty(errand, application, order, fds)
    os.close(writer)
    # After this the worker is the supervisor's child.
    os.waitpid(middle, 0)
    told = os.read(reader, 32)
    os.close(reader)
    number = int(told) if told else 0
    if number > 0:
        _say(errand.channel, {"say": "forked", "pid": number})
    else:
        _say(errand.channel, {"say": "not forked", "errno": -number})
    return None


def _step_aside(writer: int) -> bool:
    """In the process in between: fork the worker, tell its process id (or an error's negative number) and end. True in
    the worker.
    """
    is_worker = False
    told = 0
    try:
        told = os.fork()
        is_worker = told == 0
    except OSError as error:
        told = -(error.errno or 0)
    finally:
        if not is_worker:
            with contextlib.suppress(OSError):
                os.write(writer, b"%d" % told)
            os._exit(0)
    return True


def _duty(errand: Errand, application: Application, order: Message, fds: list[int]) -> Duty:
    own, *listening = [socket.socket(fileno=fd) for fd in fds]
    listeners = []
    for sock, (address, is_tls) in zip(listening, errand.places, strict=True):
        sock.setblocking(False)
        listeners.append(Listener(sock, address, tls=is_tls))
    return Duty(
        errand.options, int(order["slot"]), errand.generation, float(order["began_s"]), Channel(own), listeners,
        errand.row(int(order["position"])), application, errand.server_pid, errand.roster,
    )  # fmt: skip


def _reseed() -> None:
    """No two workers may draw the same numbers. Python seeds ``random`` anew after a fork, and OpenSSL itself: that is
    made sure of, and done for numpy's global state. Generators that the application made are its own affair.
    """
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        with contextlib.suppress(Exception):
            numpy_random.seed()
