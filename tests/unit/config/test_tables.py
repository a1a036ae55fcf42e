"""[hooks] and [[service]] of a file: what they become, and which line a mistake in them is blamed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from torana.base.errors import ConfigError
from torana.config.assemble import run_options
from torana.config.sources import gather
from torana.process.options import RunOptions, ServiceOptions


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options() -> RunOptions:
    return run_options(gather(environ={}))


def refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        options()
    return str(refused.value)


WHOLE = """
[hooks]
on_starting = "site.hooks:begin"
post-fork = ["site.hooks:one", "site.hooks:Two.three"]

[[service]]
name = "jobs"
command = ["rq", "worker", "a b"]
cwd = "jobs"
restart = "on-failure"
timeout_stop = "2m"

[[service]]
name = "clock"
command = "tick | tock"
"""


def test_tables_become_options(place: Path) -> None:
    (place / "etc" / "jobs").mkdir(parents=True)
    (place / "etc" / "site.toml").write_text(WHOLE)
    found = run_options(gather(environ={"TORANA_CONFIG": "etc/site.toml"})).process
    assert found.hooks == (
        ("on_starting", "site.hooks:begin"),
        ("post_fork", "site.hooks:one"),
        ("post_fork", "site.hooks:Two.three"),
    )
    jobs, clock = found.services
    directory = str(place / "etc" / "jobs")
    assert jobs == ServiceOptions("jobs", ("rq", "worker", "a b"), directory, "on-failure", 120.0)
    assert clock == ServiceOptions("clock", "tick | tock")
    assert found.is_supervised


def test_they_are_read_from_a_project_file_too(place: Path) -> None:
    (place / "pyproject.toml").write_text(
        "[[service]]\nnam = 'of somebody else'\n[tool.torana.hooks]\non_exit = 'a:b'\n"
        "[[tool.torana.service]]\nname = 'x'\ncommand = 'y'\n"
    )
    found = options().process
    assert found.hooks == (("on_exit", "a:b"),)
    assert found.services == (ServiceOptions("x", "y"),)


def test_a_control_socket_lies_beside_the_file_that_names_it(place: Path) -> None:
    (place / "etc").mkdir()
    for said, meant in (("x.ctl", str(place / "etc" / "x.ctl")), ("auto", "auto"), ("off", "off"), ("/x", "/x")):
        (place / "etc" / "site.toml").write_text(f"control_socket = '{said}'\n")
        found = run_options(gather(environ={"TORANA_CONFIG": "etc/site.toml"}))
        assert found.process.control_socket == meant
    (place / "torana.toml").write_text("control_socket = ''\n")
    assert "accepted: auto, off, or a path" in refusal()


SERVICE = "[[service]]\nname = 'a'\ncommand = 'b'\n"

MISTAKES: list[tuple[str, list[str]]] = [
    ("[hooks]\n\non_exti = 'a:b'\n", ["hooks (torana.toml, line 3)", "'on_exti'", "did you mean 'on_exit'?"]),
    ("[hooks]\nzzz = 'a:b'\n", ["hooks (torana.toml, line 2)", "there are on_starting, pre_fork"]),
    ("[hooks]\npost_request = 'a:b'\n", ["line 2", "middleware"]),
    ("[hooks]\non_exit = 5\n", ["hooks (torana.toml, line 2): on_exit: found 5; accepted: a function"]),
    ("[hooks]\non_exit = ['a:b', 'c']\n", ["hooks (torana.toml, line 2): on_exit: found 'c'"]),
    ("hooks.on_exti = 'a:b'\n", ["hooks (torana.toml, line 1)"]),
    ("\nhooks = { on_exti = 'a:b' }\n", ["hooks (torana.toml, line 2)"]),
    ("hooks = 5\n", ["hooks (torana.toml, line 1): found 5", "accepted: EVENT=MODULE:FUNCTION"]),
    ("[hook]\non_exit = 'a:b'\n", ["torana.toml, line 1", "'hook'", "did you mean 'hooks'?"]),
    (SERVICE + "comand = 'c'\n", ["service (torana.toml, line 4)", "'comand'", "did you mean 'command'?"]),
    (SERVICE + SERVICE, ["service (torana.toml, line 5): a second one is called 'a'"]),
    (SERVICE + "[[service]]\nname = 'c'\n", ["service (torana.toml, line 4): a service needs a command"]),
    (SERVICE + "restart = 'maybe'\n", ["line 4", "restart: found 'maybe'", "always, on-failure or never"]),
    (SERVICE + "timeout_stop = 'soon'\n", ["line 4", "timeout_stop: found 'soon'", "30s"]),
    (SERVICE + "cwd = 'nowhere'\n", ["service (torana.toml, line 4): there is no directory", "nowhere'"]),
    (SERVICE + "cwd = 5\n", ["line 4", "cwd: found 5", "the path of a directory"]),
    ("[[service]]\nname = 'a'\ncommand = []\n", ["line 3", "command: found []"]),
    ("[[service]]\nname = 'a'\ncommand = ['b', 1]\n", ["line 3", "command: found ['b', 1]"]),
    ("[[service]]\nname = '../a'\ncommand = 'b'\n", ["line 2", "name: found '../a'"]),
    ("[service]\nname = 'a'\n", ["service (torana.toml, line 1): a service needs a command"]),
    ("[[services]]\nname = 'a'\n", ["torana.toml, line 1", "did you mean 'service'?"]),
]


@pytest.mark.parametrize(("text", "sentences"), MISTAKES)
def test_a_mistake_is_blamed_on_its_own_line(place: Path, text: str, sentences: list[str]) -> None:
    (place / "torana.toml").write_text(text)
    said = refusal()
    for sentence in sentences:
        assert sentence in said
