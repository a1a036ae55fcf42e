"""Several applications in a file, a variable and on the command line: what they become, and which line is blamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from torana.base.errors import ConfigError
from torana.base.secret import Secret
from torana.config.app_kinds import application, asgi_purpose, host_name
from torana.config.assemble import run_options
from torana.config.origin import Origin, Rank, Said
from torana.config.sources import gather
from torana.gateway.options import ApplicationOptions, MountOptions
from torana.process.options import RunOptions


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(environ: dict[str, str] | None = None, **flags: Any) -> RunOptions:
    said = [Said(name, raw, Origin(Rank.FLAG, f"--{name}")) for name, raw in flags.items()]
    return run_options(gather(said, environ=environ or {}))


def without_secret(mount: MountOptions) -> MountOptions:
    """It is another one in each process."""
    return replace(mount, application=replace(mount.application, secret=Secret()))


def refusal(environ: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        options(environ, **flags)
    return str(refused.value)


def mounts_of(run: RunOptions) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.application.target, each.path, each.hosts) for each in run.application.mounts]


WHOLE = """
threads = 3

[[app]]
app = "shop.wsgi:application"
path = "/"
asgi_for = ["websocket", "/live/*"]
asgi-app = "shop.asgi:application"

[[app]]
target = "api.main:make"
path = "/api/"
host = ["API.example.org.", "*.api.example.org"]
interface = "asgi"
factory = true
app_dir = "api"
root_path = ""
lifespan = "on"
threads = 7
app_args = ["--fast"]
"""


def test_tables_become_options(place: Path) -> None:
    (place / "etc" / "api").mkdir(parents=True)
    (place / "etc" / "site.toml").write_text(WHOLE)
    found = options({"TORANA_CONFIG": "etc/site.toml"})
    assert found.application.target == ""
    shop, api = (without_secret(mount) for mount in found.application.mounts)
    assert shop == MountOptions(
        ApplicationOptions(
            "shop.wsgi:application", asgi_for=("websocket", "/live/*"), asgi_target="shop.asgi:application"
        )
    )
    assert api == MountOptions(
        ApplicationOptions(
            "api.main:make", str(place / "etc" / "api"), is_factory=True, interface="asgi", arguments=("--fast",)
        ),
        ("api.example.org", "*.api.example.org"),
        "/api",
        "",
        "on",
        7,
    )
    assert found.gateway.threads == 3
    assert {mount.application.secret for mount in found.application.mounts} == {found.application.secret} != {""}


def test_they_are_read_from_a_project_file_too(place: Path) -> None:
    (place / "pyproject.toml").write_text("[[tool.torana.app]]\napp = 'a:b'\npath = '/x'\n")
    assert mounts_of(options()) == [("a:b", "/x", ())]
    (place / "pyproject.toml").write_text("[tool.torana.app]\napp = 'a:b'\nhost = 'x'\n")
    assert mounts_of(options()) == [("a:b", "", ("x",))]


def test_a_single_application_stays_one(place: Path) -> None:
    (place / "torana.toml").write_text("app = 'a:b'\n")
    assert options().application.mounts == ()
    assert options().application.target == "a:b"


def test_the_short_form() -> None:
    found = options(mount=("/api=api:app", "x.org=x:app"))
    assert mounts_of(found) == [("api:app", "/api", ()), ("x:app", "", ("x.org",))]
    assert mounts_of(options(mount=["*.x.org/a/b/=z:make(a='=')"])) == [("z:make(a='=')", "/a/b", ("*.x.org",))]
    assert mounts_of(options({"TORANA_MOUNT": "/=a, /b=b"})) == [("a", "", ()), ("b", "/b", ())]


TABLE = '[[app]]\napp = "a:b"\npath = "/a"\n\n[[app]]\napp = "c:d"\n'


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("pathh = '/x'", "mount (torana.toml, line 7): [[app]] has no key 'pathh'; did you mean 'path'?"),
        ("xyzzy = 1", "mount (torana.toml, line 7): [[app]] has no key 'xyzzy'; there are app, target, path, host, "),
        ("interface = 'asgy'", "mount (torana.toml, line 7): interface: found 'asgy'; accepted: auto, asgi, "),
        ("threads = 0", "mount (torana.toml, line 7): threads: found 0; accepted: a whole number from 1"),
        ("target = 'e:f'", "mount (torana.toml, line 7): app and target are two words for one thing"),
        ("path = 'x'", "mount (torana.toml, line 7): path: found 'x': it must begin with a slash"),
        ("path = '/x//y'", "no request is for a path with empty segments, . or .."),
        ("path = '/x/../y'", "no request is for a path with empty segments, . or .."),
        ("path = '/x/.'", "no request is for a path with empty segments, . or .."),
        ("path = '/%41'", "write the characters themselves"),
        ("path = '/a'", "mount (torana.toml, line 7): c:d and a:b are both said to be at /a"),
        ("host = 'x.org:80'", "mount (torana.toml, line 7): host: found 'x.org:80': it has a port"),
        ("host = 'http://x'", "mount (torana.toml, line 7): host: found 'http://x'; accepted: the name of a host"),
        ("host = '*'", "mount (torana.toml, line 7): host: found '*'"),
        ("host = 'a.*.org'", "mount (torana.toml, line 7): host"),
        ("root_path = '/x'", "mount (torana.toml, line 7): root_path: '/x' is not the beginning of the path '/'"),
        ("app_dir = 'nowhere'", "mount (torana.toml, line 7): there is no directory"),
        ("asgi_for = ['sse']", "mount (torana.toml, line 7): asgi_for: found ['sse']; accepted: websocket, or a path"),
    ],
)
def test_mistakes_are_blamed_on_their_line(place: Path, line: str, complaint: str) -> None:
    (place / "torana.toml").write_text(TABLE + line + "\n")
    assert complaint in refusal()


def test_a_table_needs_an_application(place: Path) -> None:
    (place / "torana.toml").write_text("[[app]]\napp = 'a:b'\n[[app]]\npath = '/x'\n")
    assert refusal() == "mount (torana.toml, line 3): [[app]] needs an app, as in 'module:attribute'"
    assert "found 5" in refusal(mount=[5])
    assert "found '/x'; accepted: PATH=APP, HOST=APP" in refusal(mount=("/x",))


def test_app_has_the_rest_beside_mounts_as_loud() -> None:
    found = options(app="site:app", mount=["/api=api:app"])
    assert found.application.target == "site:app"
    assert mounts_of(found) == [("api:app", "/api", ())]
    assert found.notices == ()
    assert refusal(app="site:app", mount=["/=api:app"]) == (
        "both app (--app) and mount (--mount) name the application at /"
    )


def test_an_application_that_is_said_louder_is_alone(place: Path) -> None:
    (place / "torana.toml").write_text(TABLE)
    found = options(app="site:app")
    assert (found.application.target, found.application.mounts) == ("site:app", ())
    assert found.notices == ("--app replaces the applications of torana.toml, line 1",)


def test_mounts_that_are_said_louder_leave_the_rest_to_app(place: Path) -> None:
    (place / "torana.toml").write_text("app = 'site:app'\n")
    found = options(mount=["/api=api:app"])
    assert (found.application.target, mounts_of(found)) == ("site:app", [("api:app", "/api", ())])
    found = options(mount=["/=all:app"])
    assert (found.application.target, mounts_of(found)) == ("", [("all:app", "", ())])
    assert found.notices == ("--mount replaces the app of torana.toml, line 1",)


def test_their_directories_are_watched(place: Path) -> None:
    (place / "here" / "api").mkdir(parents=True)
    (place / "there").mkdir()
    (place / "torana.toml").write_text("[[app]]\napp='a'\napp_dir='here/api'\n[[app]]\napp='b'\npath='/b'\n")
    assert options().reload.dirs == (str(place),)
    assert options().application.mounts[1].application.app_dir is None
    found = options(app_dir=str(place / "there"))
    assert found.application.mounts[1].application.app_dir == str(place / "there")
    assert options(reload_dir=("here",)).reload.dirs == ("here",)


def test_directories_elsewhere_are_watched_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "here").mkdir()
    (place / "there").mkdir()
    monkeypatch.chdir(place / "here")
    found = options(mount=[{"app": "a", "app_dir": str(place / "there")}, {"app": "b", "path": "/b"}])
    assert found.reload.dirs == (str(place / "here"), str(place / "there"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Shop.Example.org", "shop.example.org"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("my_service", "my_service"),
        ("x.", "x"),
    ],
)
def test_hosts(said: str, meant: str) -> None:
    assert host_name().read(said) == meant


@pytest.mark.parametrize("said", ["", ".", "*", "*.", "*.[::1]", "a b", "a/b", "a..b", "-a", "::1", "x" * 64, 5, None])
def test_what_is_no_host(said: Any) -> None:
    with pytest.raises(ValueError):
        host_name().read(said)


def test_what_asgi_is_for() -> None:
    read = asgi_purpose().read
    assert [read(each) for each in ("websocket", "WebSocket", "websockets")] == ["websocket"] * 3
    assert [read(each) for each in ("/sse/*", "/a*/b", "/x/", "/")] == ["/sse/*", "/a*/b", "/x/", "/"]
    for wrong in ("", "sse/*", "/a?b", "/a#b", "/%41", "/a//b", "/a/../b", "http", 5):
        with pytest.raises(ValueError):
            read(wrong)


def test_how_they_are_shown() -> None:
    kind = application()
    assert kind.show(kind.read("/=a:b")) == "/=a:b"
    assert kind.show(kind.read({"app": "a:b", "path": "/x", "host": ["y", "*.z"]})) == "y/x=a:b *.z/x=a:b"
