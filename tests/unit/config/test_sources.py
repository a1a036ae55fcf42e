"""Where settings come from, in which order they are heard, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torana.base.errors import ConfigError
from torana.config.assemble import assemble, run_options
from torana.config.check import Settings, check
from torana.config.origin import Origin, Rank, Said
from torana.config.settings import BY_NAME
from torana.config.sources import gather
from torana.process.options import RunOptions


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flags(**values: Any) -> list[Said]:
    return [Said(name, raw, Origin(Rank.FLAG, BY_NAME[name].flag)) for name, raw in values.items()]


def settings(environ: dict[str, str] | None = None, **values: Any) -> Settings:
    return check(gather(flags(**values), environ={} if environ is None else environ))


def options(environ: dict[str, str] | None = None, **values: Any) -> RunOptions:
    return run_options(gather(flags(**values), environ={} if environ is None else environ))


def refusal(environ: dict[str, str] | None = None, **values: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        options(environ, **values)
    assert refused.value.exit_code == 2
    return str(refused.value)


def test_flag_over_environment_over_file_over_default(place: Path) -> None:
    (place / "torana.toml").write_text("backlog = 1\nthreads = 1\nlimit_body = '1k'\n")
    environ = {"TORANA_BACKLOG": "2", "TORANA_THREADS": "2"}
    heard = settings(environ, backlog="3")
    assert (heard["backlog"], heard["threads"], heard["limit_body"], heard["port"]) == (3, 2, 1024, 8000)
    assert heard.origin("backlog").place == "--backlog"
    assert [origin.place for origin in heard.chosen["backlog"].overruled] == ["TORANA_BACKLOG", "torana.toml, line 1"]
    assert heard.origin("threads").place == "TORANA_THREADS"
    assert heard.origin("limit_body").place == "torana.toml, line 3"
    assert not heard.is_set("port")


def test_an_overruled_mistake_is_still_a_mistake(place: Path) -> None:
    (place / "torana.toml").write_text("port = 'x'\n")
    assert "torana.toml, line 1" in refusal(port="9000")


def test_pyproject_counts_if_it_speaks_of_torana(place: Path) -> None:
    project = place / "pyproject.toml"
    project.write_text("[project]\nname = 'x'\n")
    assert settings()["app"] == ""
    project.write_text("[project]\nport = 5\n\n[tool.torana]\napp = 'main:app'\n\n[tool.other]\nport = 6\n")
    assert settings()["app"] == "main:app"
    assert settings().origin("app").place == "pyproject.toml, line 5"
    (place / "torana.toml").write_text("")
    assert settings()["app"] == "", "torana.toml wins as a whole"


def test_a_named_file_is_read_instead_and_its_paths_are_its_own(place: Path) -> None:
    (place / "torana.toml").write_text("port = 1\n")
    (place / "etc").mkdir()
    (place / "etc" / "site.toml").write_text("certfile = 'cert.pem'\naccess_log_file = '-'\npid = '/run/x.pid'\n")
    (place / "etc" / "cert.pem").write_text("")
    heard = settings(config="etc/site.toml")
    assert heard["port"] == 8000
    assert heard["certfile"] == str(place / "etc" / "cert.pem")
    assert heard["access_log_file"] == "-"
    assert heard["pid"] == "/run/x.pid"
    assert settings({"TORANA_CONFIG": "etc/site.toml"})["pid"] == "/run/x.pid"


def test_keys_may_be_spelt_with_dashes_and_lists_as_lists(place: Path) -> None:
    (place / "torana.toml").write_text(
        "limit-body = 5\nbind = ['127.0.0.1:1', 'unix:x']\n[[sni_certificate]]\ncertfile = 'a.pem'\nkeyfile='a.key'\n"
    )
    for name in ("a.pem", "a.key"):
        (place / name).write_text("")
    found = options(certfile="a.pem")
    assert found.serve.bounds.body_bytes == 5
    assert found.net.listen.binds == ("127.0.0.1:1", "unix:x")
    assert found.net.listen.tls is not None
    assert found.net.listen.tls.more_certificates == ((str(place / "a.pem"), str(place / "a.key")),)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("\nprot = 1\n", ["torana.toml, line 2", "'prot'", "did you mean 'port'?"]),
        ("[timeouts]\nbody = 1\n", ["torana.toml, line 1", "'timeouts'"]),
        ("port = \n", ["torana.toml", "not valid TOML", "line 1"]),
        ("config = 'x'\n", ["no setting 'config'"]),
        ("port = [1]\n", ["port (torana.toml, line 1)", "found 1", "0 to 65535"]),
        ("port = true\n", ["port (torana.toml, line 1)", "found True"]),
        ("\xff", ["not UTF-8"]),
        ("[[sni_certificate]]\nfile = 'a'\n", ["sni_certificate (torana.toml, line 1)", "'file'"]),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_line(place: Path, text: str, sentences: list[str]) -> None:
    (place / "torana.toml").write_bytes(text.encode("latin-1"))
    said = refusal()
    for sentence in sentences:
        assert sentence in said


def test_a_file_that_is_no_settings_file(place: Path) -> None:
    assert "no file" in refusal(config="missing.toml")
    (place / "gunicorn.conf.py").write_text("bind = 1")
    assert "TOML here, not Python" in refusal(config="gunicorn.conf.py")
    (place / "big.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    assert "larger than" in refusal(config="big.toml")


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ({"port": "http"}, ["port (--port)", "'http'", "a whole number from 0 to 65535"]),
        ({"timeout_body": "soon"}, ["timeout_body (--timeout-body)", "30s"]),
        ({"limit_body": "-5"}, ["limit_body", "100MiB"]),
        ({"log_level": "loud"}, ["log_level", "debug, info, warning"]),
        ({"bind": ("example",)}, ["bind (--bind)", "'example'", "port is missing", "HOST:PORT"]),
        ({"forwarded_allow_ips": ("10.0.0.1/8",)}, ["host bits"]),
        ({"header": ("Content-Length: 3",)}, ["the server itself writes"]),
        ({"certfile": "none.pem"}, ["certfile (--certfile)", "no file 'none.pem'"]),
        ({"app_dir": "nowhere"}, ["no directory"]),
        ({"keyfile": "k.pem"}, ["keyfile", "no file"]),
        ({"ciphers": "X"}, ["ciphers (--ciphers): TLS needs certfile"]),
        ({"cert_reqs": "required"}, ["TLS needs certfile"]),
        ({"timeout_head": "60", "timeout_head_max": "30"}, ["timeout_head (--timeout-head)", "timeout_head_max"]),
        ({"bind": ("fd:3",), "port": "80"}, ["bind (--bind)", "--port", "not both"]),
        ({"host": "1.2.3"}, ["host (--host)", "'1.2.3'"]),
        ({"workers": "0"}, ["workers (--workers)", "'0'", "from 1 to 4096, or auto"]),
        ({"workers": "many"}, ["workers (--workers)", "'many'", "from 1 to 4096, or auto"]),
        ({"http": "3"}, ["http (--http)", "'3'", "auto, 1 or 2"]),
        ({"max_rss": "much"}, ["max_rss (--max-rss)", "'much'", "100MiB"]),
        ({"max_lifetime": "long"}, ["max_lifetime (--max-lifetime)", "'long'", "1h"]),
        ({"hooks": ("on_exit",)}, ["hooks (--hooks)", "'on_exit'", "EVENT=MODULE:FUNCTION"]),
        ({"hooks": ("on_exti=a:b",)}, ["hooks (--hooks)", "no hook 'on_exti'", "did you mean 'on_exit'?"]),
        ({"hooks": ("on_exit=a.b",)}, ["hooks (--hooks)", "on_exit: found 'a.b'", "'module:function'"]),
        ({"hooks": ("pre_request=a:b",)}, ["hooks (--hooks)", "no hook 'pre_request'", "middleware"]),
        ({"service": ("run it",)}, ["service (--service)", "'run it'", "NAME=COMMAND"]),
        ({"service": ("jobs=",)}, ["service (--service)", "command: found ''", "a list of words"]),
        ({"service": ("a b=run",)}, ["service (--service)", "name: found 'a b'"]),
        ({"service": ("a=run", "a=walk")}, ["service (--service)", "a second one is called 'a'"]),
        ({"static": ("/s=dir",)}, ["not available yet"]),
    ],
)
def test_a_wrong_value_names_setting_place_find_and_choice(values: dict[str, Any], sentences: list[str]) -> None:
    said = refusal(**values)
    for sentence in sentences:
        assert sentence in said


def test_a_wrong_variable_is_named() -> None:
    assert "port (TORANA_PORT): found 'x'" in refusal({"TORANA_PORT": "x"})
    assert "port (PORT): found 'x'" in refusal({"PORT": "x"})


def test_a_password_is_never_repeated() -> None:
    assert "hunter" not in refusal({"TORANA_KEYFILE_PASSWORD": "hunter\n2"})


def test_an_empty_variable_is_not_set() -> None:
    assert not settings({"TORANA_PORT": "", "PORT": ""}).is_set("port")


def test_variables_hold_lists() -> None:
    found = options({"TORANA_BIND": "127.0.0.1:1,unix:/x", "TORANA_HEADER": "A: b, c\nD: e"})
    assert found.net.listen.binds == ("127.0.0.1:1", "unix:/x")
    assert found.serve.identity.headers == (("A", "b, c"), ("D", "e"))


@pytest.mark.parametrize(
    ("environ", "values", "binds"),
    [
        ({}, {}, ("127.0.0.1:8000",)),
        ({"PORT": "5000"}, {}, ("0.0.0.0:5000",)),
        ({"PORT": "5000"}, {"host": "127.0.0.1"}, ("127.0.0.1:5000",)),
        ({"PORT": "5000"}, {"port": "9000"}, ("0.0.0.0:9000",)),
        ({"PORT": "5000"}, {"bind": ("127.0.0.1:1",)}, ("127.0.0.1:1",)),
        ({"PORT": "5000", "TORANA_BIND": "unix:/x"}, {}, ("unix:/x",)),
        ({"TORANA_BIND": "unix:/x"}, {"port": "9000"}, ("127.0.0.1:9000",)),
        ({"TORANA_PORT": "9000"}, {"bind": ("unix:/x",)}, ("unix:/x",)),
        ({}, {"host": "::1"}, ("[::1]:8000",)),
        ({}, {"host": "[::1]"}, ("[::1]:8000",)),
        ({}, {"port": "0"}, ("127.0.0.1:0",)),
    ],
)
def test_where_to_listen(environ: dict[str, str], values: dict[str, Any], binds: tuple[str, ...]) -> None:
    assert options(environ, **values).net.listen.binds == binds


def test_a_replaced_bind_is_mentioned() -> None:
    assert "--port replaces the bind of TORANA_BIND" in options({"TORANA_BIND": "unix:/x"}, port="1").notices


def test_a_kubernetes_service_link_is_no_port() -> None:
    found = options({"TORANA_PORT": "tcp://10.0.0.1:80", "TORANA_HOST": "0.0.0.0"})
    assert found.net.listen.binds == ("0.0.0.0:8000",)
    assert any("Kubernetes" in notice for notice in found.notices)
    links = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT_80_TCP", "PORT_80_TCP_ADDR")
    assert options({f"TORANA_{name}": "10.0.0.1" for name in links}).notices == ()


def test_a_misspelt_variable_is_mentioned_and_a_strange_one_is_not() -> None:
    found = options({"TORANA_WORKER": "1", "TORANA_SOMETHING_ELSE": "1", "TORANA_PURE": "1"})
    assert found.notices == ("TORANA_WORKER is not a setting; did you mean TORANA_WORKERS?",)


def test_web_concurrency_is_the_default_of_workers() -> None:
    assert options({"WEB_CONCURRENCY": "4"}).process.workers == 4
    assert options({"WEB_CONCURRENCY": "4"}, workers="1").process.workers == 1
    assert "workers (WEB_CONCURRENCY): found 'x'" in refusal({"WEB_CONCURRENCY": "x"})


def test_workers_auto_is_left_to_the_start() -> None:
    assert options(workers="auto").process.workers == 0
    assert options().process.workers == 1


@pytest.mark.parametrize(
    ("environ", "values", "is_supervised"),
    [
        ({}, {}, False),
        ({}, {"workers": "4"}, True),
        ({}, {"workers": "1"}, True),
        ({}, {"workers": "auto"}, True),
        ({"WEB_CONCURRENCY": "1"}, {}, True),
        ({"TORANA_WORKERS": "2"}, {}, True),
        ({}, {"preload": True}, True),
        ({}, {"preload": False}, False),
        ({}, {"max_rss": "1g"}, True),
        ({}, {"max_rss": "0"}, False),
        ({}, {"max_lifetime": "1h"}, True),
        ({}, {"user": "www"}, True),
        ({}, {"hooks": ("on_exit=a:b",)}, True),
        ({}, {"service": ("jobs=run",)}, True),
        ({}, {"reload": True}, False),
    ],
)
def test_who_wants_a_supervisor(environ: dict[str, str], values: dict[str, Any], is_supervised: bool) -> None:
    found = options(environ, **values)
    assert found.process.is_supervised is is_supervised
    assert found.gateway.is_multiprocess is is_supervised
    assert found.notices == ()


def test_a_reloading_server_is_one_process_and_says_what_it_does_without() -> None:
    found = options({"WEB_CONCURRENCY": "4"}, reload=True, preload=True)
    assert not found.process.is_supervised and found.process.workers == 1
    (notice,) = found.notices
    assert "workers (WEB_CONCURRENCY), preload (--preload)" in notice
    assert options(reload=True, workers="1").notices == ()


def test_a_command_that_stands_for_one_worker_wants_no_supervisor(place: Path) -> None:
    (place / "torana.toml").write_text("workers = 4\n")
    found = run_options(gather(environ={}, commanded={"reload": True, "workers": 1}, command="torana dev"))
    assert not found.process.is_supervised and found.process.workers == 1 and found.notices == ()


def test_no_color() -> None:
    assert options({"NO_COLOR": "1"}).log.color == "never"
    assert options({"NO_COLOR": "1"}, color="always").log.color == "always"


def test_what_systemd_says_is_handed_on() -> None:
    found = options({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, bind=("systemd",))
    assert dict(found.process.systemd) == {"LISTEN_FDS": "1", "LISTEN_PID": "7"}


def test_what_systemd_wants_to_hear_and_the_run_time_directory_are_handed_on() -> None:
    environ = {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "9", "WATCHDOG_PID": "7", "XDG_RUNTIME_DIR": "/run/user/7"}
    found = options(environ).process
    assert dict(found.systemd) == {"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "9", "WATCHDOG_PID": "7"}
    assert found.runtime_dir == "/run/user/7"
    assert (options().process.systemd, options().process.runtime_dir) == ((), "")


def test_an_env_file_fills_the_environment_but_never_over_it(place: Path) -> None:
    (place / "site.env").write_text(
        '# comment\n\nexport A=1\nB = \'single $x # kept\'\nC="line\\nbreak \\"q\\"" # comment\nD=bare # comment\n'
        "E=\nF=#\nG=a#b\nTORANA_BACKLOG=7\nKEPT=file\n"
    )
    environ = {"KEPT": "shell"}
    heard = settings(environ, env_file="site.env")
    assert heard["backlog"] == 7
    assert heard.origin("backlog").place == "TORANA_BACKLOG (site.env, line 10)"
    assert environ == {
        "KEPT": "shell", "A": "1", "B": "single $x # kept", "C": 'line\nbreak "q"', "D": "bare", "E": "", "F": "",
        "G": "a#b", "TORANA_BACKLOG": "7",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["no equals sign", "1A=x", "A='open", 'A="open', "A='x' y", "=x"])
def test_a_bad_env_file_is_named_with_its_line(place: Path, line: str) -> None:
    (place / "site.env").write_text("OK=1\n" + line + "\n")
    assert "site.env, line 2" in refusal(env_file="site.env")


def test_commands_stand_above_the_environment_and_prefer_below_the_file(place: Path) -> None:
    (place / "torana.toml").write_text("reload = false\ntimeout_graceful = 9\n")
    gathered = gather(
        environ={"TORANA_RELOAD": "false", "PORT": "80"},
        commanded={"reload": True},
        preferred={"timeout_graceful": 0.5, "host": "127.0.0.1", "error_pages": True},
        command="torana dev",
    )
    found = run_options(gathered)
    assert found.reload.is_on and found.serve.error_pages
    assert found.serve.timeouts.graceful_s == 9
    assert found.net.listen.binds == ("127.0.0.1:80",), "errors are not shown to the world because a PORT is set"


def test_a_default_gives_way_to_its_neighbour() -> None:
    assert options(timeout_head="60").serve.timeouts.head_max_s == 60
    assert options(timeout_head_max="5").serve.timeouts.head_s == 5
    assert options(timeout_head_max="0").serve.timeouts.head_s == 15
    transport = options(limit_write_buffer="8k").net.transport
    assert (transport.write_high_bytes, transport.write_low_bytes) == (8192, 2048)


def test_max_requests_spreads_by_chance_within_its_jitter() -> None:
    assert options(max_requests="1000", max_requests_jitter="0").serve.bounds.max_requests == 1000
    counts = {options(max_requests="1000").serve.bounds.max_requests for _ in range(50)}
    assert len(counts) > 1 and min(counts) >= 1000 and max(counts) <= 1100


def test_tls_is_off_without_a_certificate_and_filled_with_one(place: Path) -> None:
    assert options().net.listen.tls is None
    (place / "c.pem").write_text("")
    tls = options(certfile="c.pem", timeout_tls_handshake="3").net.listen.tls
    assert tls is not None
    assert (tls.certfile, tls.keyfile, tls.handshake_timeout_s) == ("c.pem", None, 3.0)


def test_settings_and_plan_agree() -> None:
    heard = settings(root_path="/api/")
    assert assemble(heard).gateway.root_path == heard["root_path"] == "/api"
