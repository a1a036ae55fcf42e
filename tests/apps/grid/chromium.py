"""Headless Chromium for tests that click through an application, over TLS and HTTP/2.

Lives here: the browser, what it must have spoken, a picture of a page whose test failed. Never here: clicks.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.test_chromium import SWITCHES, TIMEOUT_MS

#: How a server is started for a browser: by itself, and in four workers with sessions kept apart.
WORKERS = ("one worker", "four workers")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=SWITCHES)
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """What a page has spoken: the protocol of each answer, and its WebSockets."""

    def __init__(self, page: Any) -> None:
        #: (protocol, address) of each answer, as Chromium's developer tools name them: "h2", "http/1.1".
        self.answers: list[tuple[str, str]] = []
        #: Status of the handshake of each WebSocket: 101 over HTTP/1.1, 200 over HTTP/2.
        self.handshakes: list[int] = []
        self.errors: list[str] = []
        # Playwright's own events do not tell the protocol.
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._answered)
        session.on("Network.webSocketHandshakeResponseReceived", self._shook_hands)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _answered(self, event: dict[str, Any]) -> None:
        answer = event["response"]
        if answer["url"].startswith("http"):
            self.answers.append((answer.get("protocol", ""), answer["url"]))

    def _shook_hands(self, event: dict[str, Any]) -> None:
        self.handshakes.append(event["response"]["status"])

    def protocols(self, origin: str) -> set[str]:
        """What was spoken with an origin."""
        return {protocol for protocol, url in self.answers if url.startswith(origin)}


@contextlib.contextmanager
def opened_page(browser: Any, place: Path, **settings: Any) -> Iterator[tuple[Any, Watch]]:
    """A page in a context of its own; when the block fails, a picture of it is left in ``place``."""
    context = browser.new_context(ignore_https_errors=True, **settings)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    watch = Watch(page)
    try:
        yield page, watch
    except BaseException as error:
        with contextlib.suppress(Exception):
            picture = place / "failed.png"
            page.screenshot(path=picture)
            error.add_note(f"The page: {picture}; its errors: {watch.errors}")
        raise
    finally:
        context.close()


def workers(how: str, affinity: str) -> list[str]:
    """Flags for one of ``WORKERS``; skips where sessions cannot be kept apart yet."""
    if how == "one worker":
        return []
    from torana.config.settings import BY_NAME

    if "affinity" not in BY_NAME:
        pytest.skip("this version has no --affinity")
    return ["--workers", "4", "--affinity", affinity]
