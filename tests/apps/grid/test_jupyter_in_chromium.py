"""A notebook's cell is written and run in a real browser, over TLS and HTTP/2."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyter_server")
pytest.importorskip("ipykernel")
pytest.importorskip("playwright")

from playwright.sync_api import TimeoutError as NotInTime

from tests.apps.conftest import Loopback
from tests.apps.grid.chromium import chromium, opened_page
from tests.apps.grid.test_jupyter import ARGUMENTS, TOKEN, Jupyter, jupyter

NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "id": "one", "source": "", "metadata": {}, "outputs": [], "execution_count": None},
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize(
    ("target", "address"),
    [
        pytest.param(
            "jupyter:lab", "/lab/tree/answer.ipynb", id="JupyterLab",
            marks=pytest.mark.grid(app="JupyterLab", check="browser", package="jupyterlab"),
        ),
        pytest.param(
            "jupyter:notebook", "/notebooks/answer.ipynb", id="Notebook",
            marks=pytest.mark.grid(app="Jupyter Notebook", check="browser", package="notebook"),
        ),
    ],
)  # fmt: skip
def test_cell_prints_42(browser: Any, loopback: Loopback, tmp_path: Path, target: str, address: str) -> None:
    pytest.importorskip({"jupyter:lab": "jupyterlab", "jupyter:notebook": "notebook"}[target])
    # Extensions that are installed beside it may have something to ask first.
    arguments = (*ARGUMENTS, "--core-mode") if target == "jupyter:lab" else ARGUMENTS
    with jupyter(tmp_path / "home", *loopback.flags(), *arguments, target=target) as served:
        (served.files / "answer.ipynb").write_text(json.dumps(NOTEBOOK))
        with opened_page(browser, tmp_path) as (page, watch):
            run_cell(page, served, address)
        assert watch.protocols(served.server.origin) == {"h2"}
        assert watch.handshakes and set(watch.handshakes) == {200}
        # It was saved by what the browser asked for.
        saved = json.loads((served.files / "answer.ipynb").read_text())
        assert saved["cells"][0]["outputs"][0]["text"] == ["42\n"]


def run_cell(page: Any, served: Jupyter, address: str) -> None:
    """Open the notebook, write into its cell, run it, and save."""
    page.goto(f"{served.server.origin}{address}?token={TOKEN}")
    editor = page.locator(".jp-Cell .cm-content").first
    editor.wait_for()
    editor.click()
    page.keyboard.type("print(6 * 7)")
    output = page.locator(".jp-OutputArea-output pre").first
    for _ in range(12):
        # A cell that is run before the page has found its kernel is not run, and nothing on the page tells.
        page.keyboard.press("Control+Enter")
        with contextlib.suppress(NotInTime):
            output.wait_for(timeout=5_000)
            break
    assert re.fullmatch(r"42\s*", output.inner_text())
    with page.expect_request(lambda request: request.method == "PUT" and "/answer.ipynb" in request.url) as saved:
        page.keyboard.press("Control+s")
    assert saved.value.response().status == 200
