"""Loading of applications: what a target means, and what is said when it cannot be loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torana.base.errors import LoadError
from torana.gateway.find import find
from torana.gateway.load import load
from torana.gateway.options import ApplicationOptions

ASGI = "async def {name}(scope, receive, send): ...\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current directory; modules that a test imports from it are forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(
            getattr(sys.modules[name], "__file__", "") or getattr(sys.modules[name], "__path__", "")
        ):
            del sys.modules[name]


def write(place: Path, **files: str) -> None:
    for name, text in files.items():
        path = place / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def loaded(target: str = "", **options: Any) -> Any:
    return load(ApplicationOptions(target=target, **options))


def refusal(target: str = "", **options: Any) -> str:
    with pytest.raises(LoadError) as refused:
        loaded(target, **options)
    return str(refused.value)


@pytest.mark.parametrize("name", ["app", "application", "api", "asgi", "wsgi"])
def test_a_module_alone_means_one_of_the_usual_names(place: Path, name: str) -> None:
    write(place, site_a=ASGI.format(name=name))
    assert loaded("site_a").__name__ == name


def test_the_usual_names_have_an_order_and_submodules_do_not_count(place: Path) -> None:
    (place / "pack").mkdir()
    (place / "pack" / "__init__.py").write_text("import pack.app\n" + ASGI.format(name="api"))
    (place / "pack" / "app.py").write_text("")
    assert loaded("pack").__name__ == "api"


def test_an_attribute_may_be_a_path(place: Path) -> None:
    write(place, site_b="class Holder:\n    def inner(environ, start_response): ...\nholder = Holder\n")
    assert loaded("site_b:holder.inner").__name__ == "inner"


def test_a_file_is_loaded_as_the_module_it_is(place: Path) -> None:
    write(place, deep__pack__main="from pack import sibling\n" + ASGI.format(name="app"), deep__pack__sibling="")
    (place / "deep" / "pack" / "__init__.py").write_text("")
    assert loaded("deep/pack/main.py").__module__ == "pack.main"
    assert loaded("deep/pack/main.py:app").__name__ == "app"


def test_app_dir_goes_first_on_the_path(place: Path) -> None:
    write(place, sub__site_c=ASGI.format(name="app"))
    assert loaded("site_c:app", app_dir="sub").__name__ == "app"
    assert sys.path[0] == str(place / "sub")


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("site_d", {}),
        ("site_d:create_app", {}),
        ("site_d:create_app()", {}),
        ("site_d:make", {"is_factory": True}),
        ("site_d:make('x', debug=True)", {}),
        ("site_d:Maker", {"is_factory": True}),
    ],
)
def test_factories_are_called(place: Path, target: str, options: dict[str, Any]) -> None:
    write(
        place,
        site_d="async def made(scope, receive, send): ...\n"
        "def create_app(): return made\n"
        "def make(name='y', debug=False): return made\n"
        "class Maker:\n    async def __call__(self, scope, receive, send): ...\n",
    )
    application = loaded(target, **options)
    assert getattr(application, "__name__", type(application).__name__) in ("made", "Maker")


SEARCHED: dict[str, tuple[dict[str, str], str, str]] = {
    "main before app": ({"main": "app = 1\n", "app": "app = 1\n"}, "main", "app"),
    "a file that binds no usual name is passed over": (
        {"main": "x = 1\n", "app": "application = 1\n"},
        "app",
        "application",
    ),
    "bound in a branch": ({"main": "try:\n    app = 1\nexcept Exception:\n    pass\n"}, "main", "app"),
    "imported": ({"main": "from factory import app\n"}, "main", "app"),
    "annotated": ({"main": "app: object = 1\n"}, "main", "app"),
    "a factory": ({"main": "def create_app(): ...\n"}, "main", "create_app"),
    "in the folder app": ({"app__main": "app = 1\n"}, "main", "app"),
    "in the folder src": ({"src__api": "api = 1\n"}, "api", "api"),
    "a broken file": ({"main": "app = = 1\n"}, "main", "app"),
}


@pytest.mark.parametrize(("files", "module", "attribute"), SEARCHED.values(), ids=SEARCHED)
def test_a_directory_is_searched_without_running_anything(
    place: Path, files: dict[str, str], module: str, attribute: str
) -> None:
    write(place, **{name: text + "raise SystemExit\n" for name, text in files.items()})
    found = find("")
    assert (found.module, found.attribute) == (module, attribute)


MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ("WSGI_APPLICATION = 'shop.wsgi.application'\n", "shop.wsgi:application"),
        ("WSGI_APPLICATION = 'shop.wsgi.application'\nASGI_APPLICATION = 'shop.asgi.app'\n", "shop.asgi:app"),
        ("", "shop.asgi:application"),
    ],
)
def test_a_django_project_names_its_application(place: Path, settings: str, target: str) -> None:
    write(place, manage=MANAGE, main="app = 1\n", shop__settings=settings, shop__asgi="", shop__wsgi="")
    assert find("").target == target


def test_nothing_to_serve_says_where_it_looked(place: Path) -> None:
    assert "main.py" in refusal() and str(place) in refusal()


REFUSED: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "no such module": ({"shop": "app = 1\n"}, "shoop:app", ["no module 'shoop'", "did you mean 'shop'?"]),
    "no such file": ({}, "shop.py", ["no file"]),
    "no such attribute": ({"shop": "appl = 1\n"}, "shop:app", ["no 'app'", "did you mean 'appl'?"]),
    "no usual name": ({"shop": "x = 1\n"}, "shop", ["none of the names", "shop:NAME"]),
    "missing dependency": (
        {"shop": "\nimport not_there_at_all\n"},
        "shop",
        ["shop needs the module 'not_there_at_all' (shop.py, line 2)", "not installed", "import not_there_at_all"],
    ),
    "syntax error": ({"shop": "\ndef broken(:\n"}, "shop", ["syntax error (shop.py, line 2)"]),
    "error while importing": ({"shop": "x = {}\nx['k']\n"}, "shop", ["imported (shop.py, line 2)", "KeyError"]),
    "ends the program": ({"shop": "raise SystemExit(3)\n"}, "shop", ["ended the program", "3"]),
    "imports in a circle": (
        {"shop": "import other\nvalue = 1\n", "other": "from shop import value\n"},
        "shop",
        ["in a circle (other.py, line 1)"],
    ),
    "uses itself in a circle": (
        {"shop": "import other\nvalue = 1\n", "other": "import shop\nshop.value\n"},
        "shop",
        ["in a circle (other.py, line 2)"],
    ),
    "asks a finished module for what it has not": (
        {"shop": "import other\nother.value\n", "other": "pass\n"},
        "shop",
        ["shop failed while it was imported (shop.py, line 2)", "AttributeError"],
    ),
    "factory fails": ({"shop": "def create_app(): 1 / 0\n"}, "shop", ["shop:create_app failed", "ZeroDivisionError"]),
    "factory returns nothing": ({"shop": "def create_app(): pass\n"}, "shop", ["returned nothing"]),
    "factory that needs a loop": (
        {"shop": "import asyncio\ndef make_app(): return asyncio.get_running_loop()\n"},
        "shop",
        ["no running event loop; an async factory (async def) runs on the serving loop"],
    ),
    "factory arguments are code": ({"shop": "def make(x): ...\n"}, "shop:make(__import__('os'))", ["not plain values"]),
    "factory is no function": ({"shop": "app = 1\n"}, "shop:app()", ["cannot be called"]),
    "not a name": ({}, "a b:app", ["not the name of a module"]),
    "empty attribute": ({}, "shop:", ["no application"]),
    "path traversal is no module": ({}, "..shop:app", ["not the name of a module"]),
}  # fmt: skip


@pytest.mark.parametrize(("files", "target", "sentences"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_loaded_is_said_in_the_first_line(
    place: Path, files: dict[str, str], target: str, sentences: list[str]
) -> None:
    write(place, **files)
    text = refusal(target)
    first, _, rest = text.partition("\n")
    assert sentences[0] in first
    for sentence in sentences:
        assert sentence in text
    assert "torana" not in rest and "importlib" not in rest


def test_one_traceback_of_the_users_own_frames(place: Path) -> None:
    write(place, shop="import json\ndef read():\n    return json.loads('{')\nread()\n")
    text = refusal("shop:app")
    assert text.count("Traceback") == 1
    assert text.count('File "') == 3, "two frames of the user, and the innermost"
    assert "frames of installed packages" in text
