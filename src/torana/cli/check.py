"""``torana check``: load configuration and application and say what would run, without serving."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from torana.base.worker_policy import ANY, SINGLE
from torana.cli.flags import SettingsCommand, said, said_app
from torana.config.assemble import addresses, assemble, changed_limits
from torana.config.check import check
from torana.config.origin import Rank
from torana.config.sources import gather
from torana.process.options import RunOptions, ServiceOptions

if TYPE_CHECKING:
    from torana.process.worker import Application


@click.command("check", cls=SettingsCommand, options_metavar="[SETTINGS]")
@click.argument("app", required=False)
@click.pass_context
def command(ctx: click.Context, /, app: str | None, **_: object) -> None:
    """Load configuration and application, and say what would run.

    Takes the arguments of torana run. Ends with 0 if that could start, 2 if the configuration is wrong and 3 if the
    application cannot be loaded. Nothing is bound and no request is served.
    """
    settings = check(gather(said_app(app) + said(ctx)))
    options = assemble(settings)
    from torana.process.worker import load_application, loop_factory, try_out

    application = load_application(options.application)
    if application.interface == "auto" or application.parts:
        with asyncio.Runner(loop_factory=loop_factory(options.process.loop)) as runner:
            application = runner.run(try_out(application))
    rows = [
        *_applications(application),
        *[("listens on", address) for address in addresses(options)],
        *_processes(options, application),
        *(
            [("affinity", ", else ".join(key.describe() for key in options.serve.affinity))]
            if options.serve.affinity
            else []
        ),
        *([("threads", str(options.gateway.threads or "auto"))] if "wsgi" in application.interface else []),
        ("event loop", options.process.loop),
        *[(name, f"{value} (default {default})") for name, value, default in changed_limits(options)],
    ]
    rows += [("hook", f"{event} calls {target}") for event, target in options.process.hooks]
    rows += [("service", _service(service)) for service in options.process.services]
    origins = [chosen.origin for chosen in settings.chosen.values()]
    sources = sorted({origin.place.partition(", line")[0] for origin in origins if origin.rank is Rank.FILE})
    rows += [("settings from", source) for source in sources]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    for notice in options.notices:
        print(f"Note: {notice}")


def _applications(application: Application) -> list[tuple[str, str]]:
    """What is served, each application with its interface and how both were found out."""
    rows = []
    for where, each in application.parts or (("", application),):
        name = f"{each.name} at {where}" if where else each.name
        rows += [("application", f"{name} ({each.found})"), ("interface", f"{each.interface}: {each.why}")]
        rows += [("state", _state(each))]
    return rows


def _state(application: Application) -> str:
    """In how many workers an application may run, and why."""
    if application.policy == ANY:
        return "none known that a client must find again: any number of workers"
    bears = "exactly one worker" if application.policy == SINGLE else "one worker, or several with affinity"
    return f"{application.policy_why or 'kept in memory'}: {bears}"


def _processes(options: RunOptions, application: Application) -> list[tuple[str, str]]:
    """Who serves: this process, or workers under a supervisor, which a command can reach at a socket."""
    if not options.process.is_supervised:
        return [("workers", "1, without a supervisor")]
    from torana.process.bound import why_one
    from torana.process.cpus import worker_count
    from torana.process.rendezvous import meeting_for

    workers = str(options.process.workers) if options.process.workers else f"auto, {worker_count().arithmetic}"
    if options.process.workers != 1 and (why := why_one(application.policy, application.policy_why, options)):
        workers = f"1 instead of {workers}: {why}"
    meeting = meeting_for(options)
    return [("workers", workers), ("control socket", meeting.path or f"none: {meeting.why}")]


def _service(service: ServiceOptions) -> str:
    """A service in one line, with a word about a command that is not there."""
    if isinstance(service.command, str):
        return f"{service.name} runs {service.command}"
    from shutil import which

    missing = "" if which(service.command[0]) or service.cwd else " (there is no such program)"
    return f"{service.name} runs {' '.join(service.command)}{missing}"
