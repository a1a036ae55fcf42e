"""The command ``torana``: which command was meant, and the one place where a program ends and errors are printed.

``torana APP`` is ``torana run APP``. Commands are imported only when they are meant: start-up is counted in
milliseconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from torana.base.errors import LoadError, ToranaError
from torana.config.sources import command_line
from torana.process.exit_codes import BAD_CONFIGURATION, STOPPED, exit_code_of

#: Command -> its one line of help; each is a module of this package with an object ``command``.
COMMANDS = {
    "run": "Serve an application (torana APP is short for it).",
    "dev": "Serve for development: reload on change, errors on the page.",
    "check": "Load configuration and application, say what would run.",
    "explain": "Say what a setting is, its value, and where it was set.",
    "status": "Show the workers of a running server.",
    "reload": "Have a running server load the application anew, without losing a request.",
    "scale": "Change the number of workers of a running server.",
    "stop": "Stop a running server, and wait for its end.",
    "dump": "Have the workers of a running server log what they are doing.",
}


def _run() -> click.Command:
    from torana.cli.run import command

    return command


def _dev() -> click.Command:
    from torana.cli.dev import command

    return command


def _check() -> click.Command:
    from torana.cli.check import command

    return command


def _explain() -> click.Command:
    from torana.cli.explain import command

    return command


def _status() -> click.Command:
    from torana.cli.status import command

    return command


def _reload() -> click.Command:
    from torana.cli.reload import command

    return command


def _scale() -> click.Command:
    from torana.cli.scale import command

    return command


def _stop() -> click.Command:
    from torana.cli.stop import command

    return command


def _dump() -> click.Command:
    from torana.cli.dump import command

    return command


#: The import of each command, in the words that the house's laws can read.
_IMPORTS: dict[str, Callable[[], click.Command]] = {
    "run": _run,
    "dev": _dev,
    "check": _check,
    "explain": _explain,
    "status": _status,
    "reload": _reload,
    "scale": _scale,
    "stop": _stop,
    "dump": _dump,
}


class Torana(click.Group):
    """The group of commands; what is no command is an application."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order of their importance."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, imported only now."""
        if cmd_name not in COMMANDS:
            return None
        return _IMPORTS[cmd_name]()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``run`` before arguments that name no command."""
        first = args[0] if args else ""
        if first not in COMMANDS and first not in ("--help", "-h", "--version", "-V"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def version() -> str:
    """Version, build and Python, as ``--version`` says it."""
    import platform
    import sysconfig

    from torana import __version__
    from torana.base.build import describe, has_lock

    kind = ""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        kind = " free-threaded, but with the GIL" if has_lock() else " free-threaded"
    return f"torana {__version__} ({describe()}, {platform.python_implementation()} {platform.python_version()}{kind})"


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        print(version())
        ctx.exit()


@click.group(cls=Torana, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Say which version and build this is.",
)
def torana(**_: Any) -> None:
    """Serve WSGI and ASGI applications straight to the internet.

    \b
    torana main:app            serve the object "app" of the module "main"
    torana dev main:app        the same, reloading on change
    torana run --help          all settings
    """


def invoke(arguments: Sequence[str]) -> int:
    """Carry out a command line; prints what went wrong and returns the exit code."""
    try:
        result = torana.main(list(arguments), prog_name="torana", standalone_mode=False)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.Abort:
        return STOPPED
    except click.ClickException as error:
        error.show()
        return BAD_CONFIGURATION
    except ToranaError as error:
        _complain(error)
        return exit_code_of(error)
    except KeyboardInterrupt:
        return STOPPED
    return result if isinstance(result, int) else STOPPED


def _complain(error: ToranaError) -> None:
    """One sentence, and for an application that could not be loaded the one traceback behind it."""
    color = sys.stderr.isatty()
    word = click.style("Error:", fg="red", bold=True) if color else "Error:"
    print(f"{word} {error}", file=sys.stderr)
    if isinstance(error, LoadError) and "\n\n" in str(error):
        # The cause again: after a long traceback it is what the eye meets.
        print(f"\n{word} {str(error).partition(chr(10))[0]}", file=sys.stderr)


def main() -> None:
    """Entry point of the command."""
    sys.exit(invoke(command_line()))
