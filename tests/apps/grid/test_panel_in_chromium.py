"""Pages of Panel and Bokeh, clicked through in a real browser over TLS and HTTP/2."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bokeh")

from tests.apps.conftest import Loopback
from tests.apps.grid.chromium import WORKERS, Watch, chromium, opened_page, workers
from tests.apps.grid.serving import SITES_FOLDER
from tests.support.server import Server, running

UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(60_000))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def assert_http2(watch: Watch, server: Server) -> None:
    assert watch.protocols(server.origin) == {"h2"}
    assert watch.handshakes and set(watch.handshakes) == {200}
    assert not watch.errors


@pytest.mark.grid(app="Panel", check="browser")
@pytest.mark.parametrize("how", WORKERS)
def test_panel_is_clicked_through(browser: Any, loopback: Loopback, tmp_path: Path, how: str) -> None:
    pytest.importorskip("panel")
    flags = (*loopback.flags(), *workers(how, "cookie"))
    with running(str(SITES_FOLDER / "panel_page.py"), *flags, environment={"GRID_PLACE": str(tmp_path)}) as server:
        if how != WORKERS[0]:
            server.wait_for_log("All workers")
        with opened_page(browser, tmp_path) as (page, watch):
            page.goto(f"{server.origin}/panel_page")
            page.get_by_text("pressed 0").wait_for()
            for count in (1, 2):
                page.get_by_role("button", name="Press").click()
                page.get_by_text(f"pressed {count}").wait_for()
            page.get_by_label("Name").fill("Zoë & Søn")
            page.get_by_label("Name").press("Enter")
            page.get_by_text("Hello, Zoë & Søn!").wait_for()
            file = {"name": "picture.bin", "mimeType": "application/octet-stream", "buffer": UPLOAD}
            page.locator("input[type=file]").set_input_files(file)
            page.get_by_text(f"picture.bin {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}").wait_for()
            assert_http2(watch, server)


@pytest.mark.grid(app="Bokeh", check="browser")
def test_bokeh_is_clicked_through(browser: Any, loopback: Loopback, tmp_path: Path) -> None:
    page_of_bokeh = str(SITES_FOLDER / "bokeh_page.py")
    with running(page_of_bokeh, *loopback.flags(), environment={"GRID_PLACE": str(tmp_path)}) as server:
        with opened_page(browser, tmp_path) as (page, watch):
            page.goto(f"{server.origin}/")
            page.get_by_text("pressed 0").wait_for()
            for count in (1, 2):
                page.get_by_role("button", name="Press").click()
                page.get_by_text(f"pressed {count}").wait_for()
            assert_http2(watch, server)
