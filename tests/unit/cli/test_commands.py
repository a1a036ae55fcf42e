"""The command line without a server: which command was meant, what it prints, and its exit code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torana.cli import main as cli
from torana.cli.flags import flags_of
from torana.config.explain import spellings
from torana.config.settings import SETTINGS
from torana.process import reload, supervisor, worker
from torana.process.options import RunOptions


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory, an environment without settings, and no trace of imported applications."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("PORT", "WEB_CONCURRENCY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    sys.modules.pop("shop", None)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, RunOptions]]:
    """The options that would have been carried out."""
    carried: list[tuple[str, RunOptions]] = []
    monkeypatch.setattr(worker, "run_single", lambda options, **_: carried.append(("run", options)))
    monkeypatch.setattr(reload, "run_reloading", lambda options: carried.append(("reload", options)))
    monkeypatch.setattr(supervisor, "run_supervised", lambda options, _: carried.append(("supervise", options)))
    return carried


@pytest.mark.parametrize(
    "arguments",
    [
        ["main:app", "--port", "9000"],
        ["--port", "9000", "main:app"],
        ["--port=9000", "main:app"],
        ["run", "main:app", "--port", "9000"],
        ["run", "--host", "127.0.0.1", "--port", "9000", "main:app"],
        ["-b", "127.0.0.1:9000", "main:app"],
        ["main:app", "--bind=127.0.0.1:9000"],
    ],
)
def test_run_is_the_command_without_a_name(ran: list[tuple[str, RunOptions]], arguments: list[str]) -> None:
    assert cli.invoke(arguments) == 0
    ((how, options),) = ran
    assert how == "run"
    assert options.application.target == "main:app"
    assert options.net.listen.binds == ("127.0.0.1:9000",)


def test_all_behind_two_dashes_is_the_programs(ran: list[tuple[str, RunOptions]]) -> None:
    assert cli.invoke(["main.py", "--app-args", "first", "--port", "9000", "--", "--port", "1", "--", "last"]) == 0
    ((_, options),) = ran
    assert options.application.arguments == ("first", "--port", "1", "--", "last")
    assert options.net.listen.binds == ("127.0.0.1:9000",)


def test_nothing_at_all_runs_what_the_directory_holds(ran: list[tuple[str, RunOptions]]) -> None:
    assert cli.invoke([]) == 0
    assert ran[0][1].application.target == ""


GUNICORN = (
    "shop:app -b unix:/run/x -b [::1]:80 --threads 4 --graceful-timeout 9 --keep-alive 3 --worker-connections 50 "
    "--max-requests 9 --max-requests-jitter 0 --access-logfile /log --access-logformat %(h)s -p /run/pid -m 022 "
    "--limit-request-line 4096 --limit-request-fields 50 --limit-request-field_size 4096 --log-level warning -w 1"
)
UVICORN = (
    "shop:app --uds /run/x --fd 3 --interface asgi3 --timeout-keep-alive 3 --timeout-graceful-shutdown 9 "
    "--root-path /a --limit-concurrency 5 --limit-max-requests 9 --max-requests-jitter 0 --no-server-header "
    "--no-date-header --header X-A:1 --header X-B:2 --no-access-log --loop asyncio --lifespan on --backlog 9 "
    "--factory --h11-max-incomplete-event-size 9000"
)


def test_a_gunicorn_command_line_carries_over(ran: list[tuple[str, RunOptions]]) -> None:
    assert cli.invoke(GUNICORN.split()) == 0
    ((how, options),) = ran
    assert (how, options.process.workers) == ("supervise", 1)
    assert options.net.listen.binds == ("unix:/run/x", "[::1]:80")
    assert options.gateway.threads == 4
    assert (options.serve.timeouts.graceful_s, options.serve.timeouts.keep_alive_s) == (9, 3)
    assert (options.serve.bounds.connections, options.serve.bounds.max_requests) == (50, 9)
    assert (options.serve.access_log.file, options.serve.access_log.format) == ("/log", "%(h)s")
    assert (options.process.pid_file, options.process.umask) == ("/run/pid", 0o22)
    limits = options.serve.limits
    assert (limits.request_line_bytes, limits.field_count, limits.field_bytes) == (4096, 50, 4096)


def test_a_uvicorn_command_line_carries_over(ran: list[tuple[str, RunOptions]]) -> None:
    assert cli.invoke(UVICORN.split()) == 0
    options = ran[0][1]
    assert options.net.listen.binds == ("unix:/run/x", "fd:3")
    assert options.application.interface == "asgi" and options.application.is_factory
    assert options.serve.identity.headers == (("X-A", "1"), ("X-B", "2"))
    assert not options.serve.identity.server_header and not options.serve.identity.date_header
    assert not options.serve.access_log.is_on
    assert (options.process.loop, options.gateway.lifespan, options.gateway.root_path) == ("asyncio", "on", "/a")
    assert options.serve.limits.head_bytes == 9000


def test_dev_reloads_whatever_the_file_says(place: Path, ran: list[tuple[str, RunOptions]]) -> None:
    (place / "torana.toml").write_text("reload = false\n")
    assert cli.invoke(["dev", "shop:app"]) == 0
    ((how, options),) = ran
    assert how == "reload" and options.serve.error_pages and options.process.workers == 1
    assert cli.invoke(["shop:app", "--reload"]) == 0
    assert ran[1][0] == "reload"
    assert cli.invoke(["dev", "--no-reload"]) == 2


REFUSED: list[tuple[str, list[str]]] = [
    ("run x:y --prot 80", ["no flag --prot", "did you mean --port?"]),
    ("--wrokers 2 x:y", ["did you mean --workers?"]),
    ("x:y --zzzzzzzz", ["no flag --zzzzzzzz", "torana run --help"]),
    ("x:y -k gevent", ["-k means nothing here", "ASGI or WSGI"]),
    ("x:y --worker-class gevent", ["--worker-class means nothing here"]),
    ("x:y --timeout 30", ["--timeout-request", "--timeout-hang"]),
    ("x:y -D", ["systemd"]),
    ("x:y --proxy-headers", ["--forwarded-allow-ips"]),
    ("x:y --port", ["--port", "argument"]),
    ("x:y --port http", ["port (--port): found 'http'", "0 to 65535"]),
    ("x:y --keep-alive 3 --timeout-keep-alive 4", ["said twice", "--keep-alive", "--timeout-keep-alive"]),
    ("x:y --workers none", ["workers (--workers)", "or auto"]),
    ("x:y another", ["another"]),
    ("explain prot", ["did you mean 'port'?"]),
]


@pytest.mark.parametrize(("line", "sentences"), REFUSED)
def test_a_bad_command_line_ends_with_2_and_says_why(
    capsys: pytest.CaptureFixture[str], ran: list[tuple[str, RunOptions]], line: str, sentences: list[str]
) -> None:
    assert cli.invoke(line.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    for sentence in sentences:
        assert sentence in said.err
    assert ran == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["--version"]) == 0
    assert capsys.readouterr().out.startswith("torana 0.")


def test_help_lists_commands_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["--help"]) == 0
    overview = capsys.readouterr().out
    assert all(name in overview for name in cli.COMMANDS)
    assert cli.invoke(["run", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--timeout-body TIME" in text and "[30s]" in text
    assert "--max-rss" in text
    assert "--static" not in text, "what is not available is not offered"
    assert "--graceful-timeout" not in text, "other spellings work, but one is shown"


def test_there_is_one_flag_for_each_spelling() -> None:
    made = [spelling for flag in flags_of() for spelling in (*flag.opts, *flag.secondary_opts)]
    assert sorted(made) == sorted(flag for setting in SETTINGS for flag in spellings(setting))
    names = [flag.name for flag in flags_of()]
    assert len(set(names)) == len(names)


def test_explain_says_where_a_value_was_set(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "torana.toml").write_text("\ntimeout_body = 5\n")
    for name in ("timeout_body", "--timeout-body", "TORANA_TIMEOUT_BODY"):
        assert cli.invoke(["explain", name]) == 0
        text = capsys.readouterr().out
        assert "5s" in text and "torana.toml, line 2" in text and "30s" in text
    assert cli.invoke(["explain", "--timeout-body", "7", "timeout_body"]) == 0
    assert "7s" in capsys.readouterr().out
    assert cli.invoke(["explain"]) == 0
    table = capsys.readouterr().out
    assert any(line.split() == ["timeout_body", "5s", "torana.toml,", "line", "2"] for line in table.splitlines())


def test_explain_keeps_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    (Path("c.pem")).write_text("")
    assert cli.invoke(["explain", "keyfile_password", "--keyfile-password", "hunter2", "--certfile", "c.pem"]) == 0
    assert "hunter2" not in capsys.readouterr().out


def test_check_says_what_would_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "torana.toml").write_text("limit_body = '1m'\n")
    (place / "shop.py").write_text("def app(environ, start_response): ...\n")
    assert cli.invoke(["check", "shop:app", "-b", "127.0.0.1:9", "-b", "unix:/x"]) == 0
    text = capsys.readouterr().out
    for part in ("shop:app", "wsgi: it takes 2 arguments", "http://127.0.0.1:9", "unix:/x", "1MiB (default 100MiB)"):
        assert part in text
    assert "torana.toml" in text


def test_check_says_who_would_look_after_the_workers(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "shop.py").write_text("def app(environ, start_response): ...\n")
    assert cli.invoke(["check", "shop:app"]) == 0
    assert "1, without a supervisor" in capsys.readouterr().out
    (place / "run").mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place / "run"))
    (place / "torana.toml").write_text(
        "workers = 'auto'\n[hooks]\non_exit = 'shop:bye'\n[[service]]\nname = 'a'\ncommand = ['no-such-program', 'x']\n"
        "[[service]]\nname = 'b'\ncommand = 'tick | tock'\n"
    )
    assert cli.invoke(["check", "shop:app"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(re.fullmatch(r"workers auto, \d+ workers?: .*", line) for line in lines)
    assert f"control socket {place}/run/torana-127.0.0.1-8000.ctl" in lines
    assert "hook on_exit calls shop:bye" in lines
    assert "service a runs no-such-program x (there is no such program)" in lines
    assert "service b runs tick | tock" in lines


@pytest.mark.parametrize(
    ("source", "code", "sentence"),
    [
        ("def app(:\n", 3, "syntax error (shop.py, line 1)"),
        ("app = 5\n", 3, "not an application"),
        ("def app(*a): ...\n", 3, "--interface"),
    ],
)
def test_check_ends_with_3_for_a_bad_application(
    place: Path, capsys: pytest.CaptureFixture[str], source: str, code: int, sentence: str
) -> None:
    (place / "shop.py").write_text(source)
    assert cli.invoke(["check", "shop:app"]) == code
    assert sentence in capsys.readouterr().err.splitlines()[0]


def test_check_ends_with_2_for_a_bad_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "torana.toml").write_text("port = 'x'\n")
    assert cli.invoke(["check"]) == 2
    assert "torana.toml, line 1" in capsys.readouterr().err


def test_interrupted_is_stopped_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "run_single", interrupted)
    assert cli.invoke(["shop:app"]) == 0
