"""A Streamlit page, clicked through in a real browser over TLS and HTTP/2."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.apps.grid.chromium import WORKERS, chromium, opened_page, workers
from tests.apps.grid.serving import SITES_FOLDER
from tests.support.server import Server, running

pytest.importorskip("streamlit")

pytestmark = pytest.mark.grid(app="Streamlit", check="browser")

UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(60_000))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


#: One worker, and four with each kind of affinity that a browser can keep to.
@pytest.fixture(
    scope="module", params=[(WORKERS[0], ""), (WORKERS[1], "streamlit"), (WORKERS[1], "cookie")], ids=" ".join
)
def server(
    request: pytest.FixtureRequest, browser: Any, loopback: Loopback, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    flags = workers(*request.param)
    place = tmp_path_factory.mktemp("streamlit")
    script = str(SITES_FOLDER / "streamlit_page.py")
    with running(script, *loopback.flags(), *flags, cwd=place, environment={"GRID_PLACE": str(place)}) as server:
        if flags:
            server.wait_for_log("All workers")
        yield server


def test_clicked_through(browser: Any, server: Server, tmp_path: Path) -> None:
    with opened_page(browser, tmp_path) as (page, watch):
        page.goto(f"{server.origin}/")
        page.get_by_text("count: 0").wait_for()
        process = page.get_by_text("process: ").inner_text()

        page.get_by_label("Name").fill("Zoë & Søn")
        page.get_by_label("Name").press("Enter")
        page.get_by_text("Hello, Zoë & Søn!").wait_for()

        for count in (1, 2):
            page.get_by_role("button", name="Count").click()
            page.get_by_text(f"count: {count}").wait_for()
        assert page.get_by_text("Hello, Zoë & Søn!").is_visible()

        file = {"name": "picture.bin", "mimeType": "application/octet-stream", "buffer": UPLOAD}
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_text(f"upload: picture.bin {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}").wait_for()

        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "fruit.txt"
        assert Path(download.value.path()).read_text() == "apples\npears\n" * 1000

        page.get_by_role("button", name="Fail").click()
        page.get_by_text("RuntimeError").first.wait_for()
        page.get_by_role("button", name="Count").click()
        page.get_by_text("count: 3").wait_for()

        assert page.get_by_text("process: ").inner_text() == process
        assert watch.protocols(server.origin) == {"h2"}
        assert watch.handshakes and set(watch.handshakes) == {200}
        assert not watch.errors


def test_many_visitors_keep_their_own(browser: Any, server: Server, tmp_path: Path) -> None:
    """Each in a browser of its own, taking turns; what one counts is not what another sees."""
    for _ in range(4):
        with opened_page(browser, tmp_path) as (first, _), opened_page(browser, tmp_path) as (second, _):
            for page in (first, second):
                page.goto(f"{server.origin}/")
                page.get_by_text("count: 0").wait_for()
            first.get_by_role("button", name="Count").click()
            first.get_by_text("count: 1").wait_for()
            file = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"a note"}
            for page in (second, first):
                page.locator("input[type=file]").set_input_files(file)
                page.get_by_text(f"upload: note.txt 6 {hashlib.sha256(b'a note').hexdigest()}").wait_for()
            assert second.get_by_text("count: 0").is_visible()
