"""``deploy/Containerfile``: its shape, and its last command as it stands there: as process 1, nobody, read-only."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.hardening.room import CONFINED, NOBODY, PROFILE, Confined, by_user_namespace, missing
from tests.support.server import REPOSITORY, child_environment
from tests.support.supervised import children_of

CONTAINERFILE = REPOSITORY / "deploy" / "Containerfile"
SHOP = """
import os
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getppid()).encode()})
"""


def stages() -> list[list[tuple[str, str]]]:
    """Instructions and their arguments, by stage; lines that are continued are refused."""
    found: list[list[tuple[str, str]]] = []
    for line in CONTAINERFILE.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        instruction, _, words = line.partition(" ")
        assert re.fullmatch(r"[A-Z]+", instruction) and not line.endswith("\\"), line
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, words))
    return found


def said(instruction: str) -> list[str]:
    """What the last stage says with an instruction."""
    return [words for name, words in stages()[-1] if name == instruction]


def test_the_image_is_built_elsewhere_and_is_nobodys() -> None:
    built, final = stages()
    assert {name for name, _ in final} == {
        "FROM",
        "COPY",
        "WORKDIR",
        "ENV",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    assert said("USER") == ["65532:65532"] and said("STOPSIGNAL") == ["SIGTERM"]
    assert all(words.startswith("--from=build --chown=0:0 ") for words in said("COPY"))
    # Lists: with a text a shell would be process 1.
    for instruction in ("ENTRYPOINT", "CMD"):
        (words,) = said(instruction)
        assert all(isinstance(word, str) for word in json.loads(words))
    assert all(isinstance(json.loads(words), list) for name, words in built if name == "RUN")
    assert any("--require-hashes" in words for name, words in built if name == "RUN")


def test_the_command_runs_as_written(tmp_path: Path) -> None:
    """But for the port; the file system is this machine's, with the image's folders."""
    if reason := missing():
        pytest.skip(reason)
    site = tmp_path / "srv" / "site"
    (site / "venv" / "bin").mkdir(parents=True)
    (site / "shop.py").write_text(SHOP)
    script = site / "venv" / "bin" / "torana"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom torana.cli.main import main\nsys.exit(main())\n")
    script.chmod(0o755)
    for folder in (tmp_path / "srv", site, site / "venv", site / "venv" / "bin"):
        folder.chmod(0o755)
    environment = dict(word.split("=", 1) for words in said("ENV") for word in words.split())
    command = [word for name in ("ENTRYPOINT", "CMD") for word in json.loads(said(name)[0])]
    command[command.index("0.0.0.0:8000")] = "127.0.0.1:0"
    command[command.index("auto")] = "1"  # this machine's CPUs are of no interest

    (folder,) = said("WORKDIR")
    server = Confined(
        [*image(tmp_path / "srv", folder), *confined(), *command], REPOSITORY, child_environment(environment)
    )
    try:
        server.wait_until_ready()
        assert httpx.get(server.origin).text == "1"  # the supervisor
        assert httpx.get(f"{server.origin}/healthz").status_code == 200
        os.kill(server.pid, signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert not children_of(server.process.pid)
    finally:
        server.kill()
        shutil.rmtree(tmp_path / "srv")


def image(srv: Path, folder: str) -> list[str]:
    """bubblewrap, as ``podman run --read-only --tmpfs /tmp --tmpfs /run/torana`` would have it."""
    who = ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    if not by_user_namespace():
        who = [word for name in ("SETUID", "SETGID", "CHOWN") for word in ("--cap-add", f"CAP_{name}")]
    source = child_environment()["PYTHONPATH"].split(os.pathsep)[0]
    hidden = [path for path in (source, sys.prefix, sys.base_prefix, str(REPOSITORY)) if path.startswith("/tmp/")]
    return [
        "bwrap", *who, "--die-with-parent", "--unshare-pid", "--as-pid-1", "--unshare-ipc",
        "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp",
        *(word for path in hidden for word in ("--ro-bind", path, path)),
        "--ro-bind", str(srv), "/srv", "--tmpfs", "/run", "--perms", "0700", "--dir", "/run/torana", "--chdir", folder,
    ]  # fmt: skip


def confined() -> list[str]:
    """Nobody, under the profile."""
    order: dict[str, object] = {"profile": str(PROFILE)}
    if not by_user_namespace():
        order |= {"uid": NOBODY, "owned": ["/run/torana"]}
    return [sys.executable, "-B", str(CONFINED), json.dumps(order)]
