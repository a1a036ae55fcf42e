"""The laws hold in the tree, and each check sees a violation that is planted for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.house import declarations, floors, languages, places, words
from tests.house.tree import Tree, plant, read

Law = Callable[[Tree], list[str]]

LAWS: dict[str, Law] = {
    "A: imports go down": floors.law_a,
    "B: base, wire and exchange know no world": floors.law_b,
    "C: a .pxd is the mark of compiled": floors.law_c,
    "C: typed locals are those of their function": declarations.typed_locals,
    "D: one place for environment, user code, processes, terminal": places.law_d,
    "E: legality stands in states.py": languages.law_e,
    "G-023: hostile text meets only ASCII": words.hostile_text,
    "names": words.names,
    "sizes": words.sizes,
    "signs": words.signs,
}


@pytest.fixture(scope="module")
def house() -> Tree:
    return read()


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_tree_keeps(law: Law, house: Tree) -> None:
    assert law(house) == []


def test_the_whole_tree_is_read(house: Tree) -> None:
    assert {"torana/wire/events.py", "torana/wire/events.pxd", "torana/__init__.py"} <= house.paths
    assert "torana/py.typed" not in house.paths


STATES = "OPEN = 0\nHALF = 1\nSHUT = 2\nBROKEN = 3\n"

# Law -> files of a small house in which it is broken exactly once.
BROKEN: list[tuple[Law, dict[str, str]]] = [
    (floors.law_a, {"base/errors.py": "import torana.wire.events"}),
    (floors.law_a, {"base/errors.py": "def later():\n    from torana.wire import events"}),
    (floors.law_a, {"net/poller.py": "from torana.wire.events import RequestHead", "wire/events.py": ""}),
    (floors.law_a, {"wire/events.py": "from torana.net import clock"}),
    (floors.law_a, {"exchange/duplex.py": "from torana.wire.http1 import parser"}),
    (floors.law_a, {"exchange/duplex.py": "from ..wire.http1 import parser"}),
    (floors.law_a, {"gateway/asgi/call.py": "from torana.net import poller"}),
    (floors.law_a, {"gateway/asgi/call.py": "from torana.edge import route"}),
    (floors.law_a, {"edge/route.py": "from torana.gateway import load"}),
    (floors.law_a, {"gateway/asgi/call.py": "from torana.gateway.wsgi import body", "gateway/wsgi/body.py": ""}),
    (floors.law_a, {"wire/http2/x.py": "import torana.wire.http1.parser", "wire/http1/parser.py": ""}),
    (floors.law_a, {"serve/server.py": "from torana.process import options"}),
    (floors.law_a, {"serve/server.py": "if TYPE_CHECKING:\n    from torana.config import settings"}),
    (floors.law_a, {"process/supervisor.py": "from torana.serve import server", "serve/server.py": ""}),
    (floors.law_a, {"config/assemble.py": "from torana.serve.server import Server", "serve/server.py": ""}),
    (floors.law_a, {"process/options.py": "from torana.gateway.load import load", "gateway/load.py": ""}),
    (floors.law_a, {"cli/run.py": "from torana.serve.options import Options"}),
    (floors.law_a, {"serve/server.py": "from torana.testing import client"}),
    (floors.law_a, {"serve/server.py": "from torana import run"}),
    (floors.law_a, {"__main__.py": "from torana.serve import server"}),
    (floors.law_a, {"attic/box.py": ""}),
    (floors.law_a, {"base/headers.pxd": "from torana.wire.events cimport RequestHead"}),
    (floors.law_a, {"exchange/request.pxd": "cimport torana.wire.http1.parser as parser"}),
    (floors.law_b, {"wire/events.py": "import asyncio"}),
    (floors.law_b, {"base/codes.py": "from os import path"}),
    (floors.law_b, {"exchange/duplex.py": "def f():\n    import time"}),
    (floors.law_b, {"wire/http1/parser.py": "import logging.handlers"}),
    (floors.law_b, {"wire/http1/parser.pxd": "from posix.unistd cimport read"}),
    (floors.law_b, {"wire/http1/parser.pxd": "from libc cimport time"}),
    (floors.law_c, {"wire/events.pxd": "cdef class Mark: pass"}),
    (floors.law_c, {"wire/events.py": "import cython"}),
    (floors.law_c, {"wire/events.py": "from Cython import shadow"}),
    (floors.law_c, {"net/a.py": "", "net/a.pxd": "from torana.base.codes cimport x", "base/codes.py": ""}),
    (floors.law_c, {"wire/__init__.py": "", "wire/__init__.pxd": ""}),
    (
        declarations.typed_locals,
        {
            "base/a.py": "class A:\n    def f(self):\n        size = 1\n    def g(self):\n        pass",
            "base/a.pxd": "cdef class A:\n    @cython.locals(size=Py_ssize_t)\n    cdef g(self)\n    cdef f(self)",
        },
    ),
    (
        declarations.typed_locals,
        {"base/a.py": "def f(x):\n    return x", "base/a.pxd": '@cython.locals(y="const char*")\ncdef f(x)'},
    ),
    (declarations.typed_locals, {"base/a.py": "", "base/a.pxd": "@cython.locals(y=int)\ncdef f(x)"}),
    (places.law_d, {"net/tls.py": "import os\nhome = os.environ"}),
    (places.law_d, {"net/tls.py": "from os import getenv"}),
    (places.law_d, {"cli/run.py": "import sys as system\nwords = system.argv[1:]"}),
    (places.law_d, {"serve/site.py": "import importlib\nimportlib.import_module('x')"}),
    (places.law_d, {"config/sources.py": "exec('x = 1')"}),
    (places.law_d, {"serve/site.py": "import os\nos.kill(1, 9)"}),
    (places.law_d, {"serve/site.py": "from os import execv"}),
    (places.law_d, {"cli/run.py": "import subprocess"}),
    (places.law_d, {"serve/site.py": "print('x')"}),
    (places.law_d, {"process/worker.py": "import sys\nsys.exit(1)"}),
    (places.law_d, {"process/worker.py": "raise SystemExit(1)"}),
    (places.law_d, {"process/worker.py": "raise SystemExit"}),
    (languages.law_e, {"wire/http1/connection.py": ""}),
    (languages.law_e, {"exchange/response.py": "OPEN = 0", "exchange/states.py": STATES}),
    (languages.law_e, {"exchange/duplex.py": "class A:\n    SHUT = 'x'", "exchange/states.py": STATES}),
    (languages.law_e, {"exchange/duplex.py": "def f(self):\n    self.state = 3"}),
    (languages.law_e, {"wire/http1/body.py": "def f(self):\n    return self.read_state == 'open'"}),
    (languages.law_e, {"exchange/duplex.py": "NEXT = {OPEN: HALF, SHUT: BROKEN}", "exchange/states.py": STATES}),
    (
        languages.law_e,
        {"exchange/duplex.py": "T = bytes([s.OPEN, s.HALF, s.SHUT, s.BROKEN])", "exchange/states.py": STATES},
    ),
    (words.hostile_text, {"wire/http1/parser.py": "def f(value): value.strip()"}),
    (words.hostile_text, {"wire/http1/parser.py": "def f(value): value.split(None, 1)"}),
    (words.hostile_text, {"wire/http1/parser.py": "def f(value): value.splitlines()"}),
    (words.hostile_text, {"base/headers.py": "def f(value): value.isdigit()"}),
    (words.hostile_text, {"base/headers.py": "def f(value): int(value)"}),
    (words.hostile_text, {"base/headers.py": "def f(value): int(value, 16)  # looks fine"}),
    (words.names, {"wire/utils.py": ""}),
    (words.names, {"net/socket_helpers.py": ""}),
    (words.names, {"core/loop.py": ""}),
    (words.sizes, {"wire/parser.py": "x = 1\n" * 451}),
    (words.sizes, {"wire/parser.pxd": "\n" * 451}),
    (words.signs, {"wire/parser.py": "x = 1"}),
    (words.signs, {"wire/parser.py": '"""TODO"""'}),
]


@pytest.mark.parametrize(("law", "files"), BROKEN, ids=lambda value: str(value)[:90] if isinstance(value, dict) else "")
def test_a_planted_violation_is_seen(law: Law, files: dict[str, str]) -> None:
    found = law(plant(files))
    assert len(found) == 1, found


# Law -> files that look like a violation and are none.
KEPT: list[tuple[Law, dict[str, str]]] = [
    (floors.law_a, {"exchange/request.py": "from torana.wire import events", "wire/events.py": ""}),
    (floors.law_a, {"exchange/request.pxd": "from torana.wire.events cimport RequestHead", "wire/events.pxd": ""}),
    (floors.law_a, {"config/assemble.py": "from torana.wire.http1.limits import Limits", "wire/http1/limits.py": ""}),
    (floors.law_a, {"config/assemble.py": "from torana.net import options", "net/options.py": ""}),
    (floors.law_a, {"config/kinds.py": "from torana.net.address import parse", "net/address.py": ""}),
    (floors.law_a, {"process/options.py": "from torana.gateway.options import Options", "gateway/options.py": ""}),
    (floors.law_a, {"process/worker.py": "from torana.serve.server import Server"}),
    (floors.law_a, {"gateway/wsgi/call.py": "from torana.gateway import options", "gateway/options.py": ""}),
    (floors.law_a, {"cli/main.py": "from torana import __version__"}),
    (floors.law_a, {"__init__.py": "def run():\n    from torana.process import supervisor"}),
    (floors.law_a, {"base/build.pxd": "# from torana.wire cimport nothing\ncdef extern from 'x.h':\n    int y"}),
    (floors.law_b, {"net/poller.py": "import asyncio, select"}),
    (floors.law_b, {"wire/events.py": "'import asyncio'"}),
    (floors.law_c, {"wire/events.py": "", "wire/events.pxd": "from libc.string cimport memchr"}),
    (floors.law_c, {"net/a.py": "try:\n    import cython\nexcept ImportError:\n    cython = None"}),
    (places.law_d, {"config/sources.py": "import os\nos.environ.get('X')"}),
    (places.law_d, {"gateway/load.py": "import importlib\nimportlib.import_module('x')"}),
    (places.law_d, {"process/signals.py": "import os\nos.kill(1, 9)"}),
    (places.law_d, {"cli/main.py": "print('x')"}),
    (places.law_d, {"gateway/asgi/call.py": "try:\n    f()\nexcept SystemExit:\n    raise"}),
    (places.law_d, {"wire/parser.py": "import re\nre.compile('x')"}),
    (languages.law_e, {"exchange/response.py": "self.state = after(self.state, DATA)", "exchange/states.py": STATES}),
    (languages.law_e, {"exchange/duplex.py": "if x.state in (OPEN, SHUT): pass", "exchange/states.py": STATES}),
    (words.hostile_text, {"wire/http1/parser.py": "def f(value): value.strip(b' \\t'); value.split(b',')"}),
    (words.hostile_text, {"wire/http1/parser.py": "def f(value): int(digits)  # ASCII digits, counted above"}),
    (words.hostile_text, {"config/kinds.py": "def f(value): int(value)"}),
    (words.hostile_text, {"base/bytescan.py": "DIGITS = [int(digit) for digit in '0123456789']"}),
    (words.names, {"net/score.py": "", "wire/hpack.py": ""}),
    (words.sizes, {"wire/parser.py": "x = 1\n" * 450}),
]


@pytest.mark.parametrize(("law", "files"), KEPT, ids=lambda value: str(value)[:90] if isinstance(value, dict) else "")
def test_what_is_lawful_passes(law: Law, files: dict[str, str]) -> None:
    assert law(plant(files)) == []
