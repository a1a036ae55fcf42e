"""A Gradio demo, clicked through in a real browser over TLS and HTTP/2."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.apps.grid.chromium import WORKERS, chromium, opened_page, workers
from tests.apps.grid.serving import SITES_FOLDER, let_go_on, pipe_at
from tests.support.server import Server, running

pytest.importorskip("gradio")

pytestmark = [pytest.mark.grid(app="Gradio", check="browser"), pytest.mark.filterwarnings("default")]

UPLOAD = b"".join(hashlib.sha256(number.to_bytes(4)).digest() for number in range(60_000))
#: A value in a field, and until then.
SHOWS = """([label, start]) => {
    const named = [...document.querySelectorAll("label")].find((each) => each.innerText.trim() === label);
    const field = named && named.querySelector("input, textarea");
    return field && field.value.startsWith(start);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gradio")


@pytest.fixture(scope="module", params=[(WORKERS[0], ""), (WORKERS[1], "gradio"), (WORKERS[1], "cookie")], ids=" ".join)
def server(request: pytest.FixtureRequest, browser: Any, loopback: Loopback, place: Path) -> Iterator[Server]:
    # Imported once: four imports of Gradio at the same time take a minute on a small machine.
    flags = [*workers(*request.param), "--preload"] if request.param[1] else []
    script = str(SITES_FOLDER / "gradio_page.py")
    environment = {
        "GRID_PLACE": str(place),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(place / "temp"),
    }
    with running(script, *loopback.flags(), *flags, cwd=place, environment=environment) as server:
        if flags:
            server.wait_for_log("All workers", 60.0)
        yield server


def wait_for(page: Any, label: str, start: str) -> str:
    """The value of a field, once it begins so."""
    page.wait_for_function(SHOWS, arg=[label, start])
    return str(page.get_by_label(label, exact=True).input_value())


def test_clicked_through(browser: Any, server: Server, place: Path, tmp_path: Path) -> None:
    with opened_page(browser, tmp_path) as (page, watch):
        page.goto(f"{server.origin}/")
        page.get_by_label("Name").fill("Zoë & Søn")
        page.get_by_role("button", name="Greet").click()
        wait_for(page, "Greeting", "Hello, Zoë & Søn in green!")

        processes = set()
        for count in (1, 2, 3):
            page.get_by_role("button", name="Count").click()
            processes.add(wait_for(page, "Counted", f"count: {count},").partition("process: ")[2])
        assert len(processes) == 1

        file = {"name": "picture.bin", "mimeType": "application/octet-stream", "buffer": UPLOAD}
        page.locator("input[type=file]").first.set_input_files(file)
        wait_for(page, "Digested", f"upload: {len(UPLOAD)} {hashlib.sha256(UPLOAD).hexdigest()}")

        page.get_by_role("button", name="Make").click()
        link = page.locator("a[download='fruit.txt']")
        link.wait_for()
        with page.expect_download() as download:
            link.click()
        assert Path(download.value.path()).read_text() == "apples\npears\n" * 1000

        token = uuid.uuid4().hex
        with pipe_at(place, token) as pipe:
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Stream").click()
            wait_for(page, "Streamed", "first\n")
            let_go_on(pipe)
            wait_for(page, "Streamed", "first\nsecond\n")

        page.get_by_role("button", name="Fail").click()
        page.get_by_text("Error", exact=True).first.wait_for()
        page.get_by_role("button", name="Count").click()
        wait_for(page, "Counted", "count: 4,")

        assert watch.protocols(server.origin) == {"h2"}
        assert not watch.errors
