"""How a program was started, found out from what the interpreter was given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torana.config.program import as_typed, this_program
from torana.config.sources import gather


def script(place: Path, head: str) -> str:
    path = place / "torana"
    path.write_text(head + "\nfrom torana.cli.main import main\nmain()\n")
    path.chmod(0o755)
    return str(path)


def test_a_script_is_executed_by_itself(tmp_path: Path) -> None:
    path = script(tmp_path, "#!/srv/venv/bin/python")
    assert as_typed(["/srv/venv/bin/python", path, "app", "-w", "2"]) == (path, "app", "-w", "2")


def test_a_script_with_a_flag_for_its_interpreter(tmp_path: Path) -> None:
    path = script(tmp_path, "#!/srv/venv/bin/python -I")
    assert as_typed(["/srv/venv/bin/python", "-I", path, "app"]) == (path, "app")


def test_an_interpreter_found_in_the_path(tmp_path: Path) -> None:
    path = script(tmp_path, "#!/usr/bin/env python3")
    assert as_typed(["python3", path, "app"]) == (path, "app")


def test_a_script_of_the_shell_that_executes_python(tmp_path: Path) -> None:
    path = script(tmp_path, "#!/bin/sh\n'''exec' \"/srv/my venv/bin/python\" \"$0\" \"$@\"\n' '''")
    assert as_typed(["/srv/my venv/bin/python", path, "app"]) == (path, "app")


def test_a_movable_script_of_the_shell(tmp_path: Path) -> None:
    head = "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python' \"$0\" \"$@\"\n' '''"
    path = script(tmp_path, head)
    assert as_typed([f"{tmp_path}/python", path, "app"]) == (path, "app")


@pytest.mark.parametrize(
    "words",
    [
        ["python3", "-m", "torana", "app"],
        ["/srv/current/bin/python", "-m", "torana", "app"],
        ["python3", "-c", "import torana", "app"],
        ["python3", "-X", "dev", "-m", "torana", "app"],
        ["python3"],
        ["python3", "/no/such/script", "app"],
        [],
    ],
)
def test_what_was_typed_is_left_as_it_is(words: list[str]) -> None:
    assert as_typed(words) == tuple(words)


def test_an_interpreter_that_somebody_chose_stays(tmp_path: Path) -> None:
    path = script(tmp_path, "#!/usr/bin/python3")
    words = ("python3.12", path, "app")
    assert as_typed(words) == words
    os.chmod(path, 0o644)
    words = ("/usr/bin/python3", path, "app")
    assert as_typed(words) == words


def test_the_directory_keeps_its_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "current").symlink_to("one")
    monkeypatch.chdir(tmp_path / "one")
    assert this_program({"PWD": f"{tmp_path}/current"}).directory == f"{tmp_path}/current"
    assert this_program({"PWD": str(tmp_path)}).directory == os.getcwd()
    assert this_program({}).directory == os.getcwd()


def test_an_env_file_is_no_part_of_the_environment_it_was_started_in(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SECRET=1\n")
    environ = {"TORANA_ENV_FILE": str(tmp_path / "env"), "HOME": "/"}
    gathered = gather(environ=environ, directory=str(tmp_path))
    assert environ["SECRET"] == "1"
    assert dict(gathered.program.environ) == {"TORANA_ENV_FILE": str(tmp_path / "env"), "HOME": "/"}


def test_what_is_handed_over_is_taken_out_of_the_environment(tmp_path: Path) -> None:
    environ = {"TORANA_HANDOFF": "7"}
    gathered = gather(environ=environ, directory=str(tmp_path))
    assert gathered.handoff == "7" and environ == {}
    assert gathered.program.environ == () and gathered.notices == []
    assert gather(environ=environ, directory=str(tmp_path)).handoff == ""
