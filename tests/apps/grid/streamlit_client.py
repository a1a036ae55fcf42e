"""A client of Streamlit's own protocol: WebSocket messages as its page sends them, uploads, downloads.

Lives here: what the page does, without a browser. Never here: what a script is expected to answer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

BackMsg = pytest.importorskip("streamlit.proto.BackMsg_pb2").BackMsg
ForwardMsg = pytest.importorskip("streamlit.proto.ForwardMsg_pb2").ForwardMsg
WidgetState = pytest.importorskip("streamlit.proto.WidgetStates_pb2").WidgetState

WAIT_S = 20.0
COOKIE = "_streamlit_xsrf"


class Page:
    """One session: what its widgets hold, what its last run has shown. Make it with ``opened``."""

    def __init__(self, client: httpx.Client, socket: Any, query: str = "") -> None:
        self.client = client
        self.socket = socket
        self.session = ""
        #: Of the last run: texts and exceptions in the order they came, widgets by their label.
        self.texts: list[str] = []
        self.failures: list[str] = []
        self.widgets: dict[str, Any] = {}
        self._query = query
        self._values: dict[str, Any] = {}
        self._forwarded: Any = None

    def run(self, until: Callable[[], object] | None = None) -> None:
        """Run the script with what the widgets hold, and take in what it shows, to the end or until something."""
        self.texts, self.failures, self.widgets = [], [], {}
        back = BackMsg()
        back.rerun_script.query_string = self._query
        for value in self._values.values():
            back.rerun_script.widget_states.widgets.append(value)
        self.socket.send(back.SerializeToString())
        self.take_in(until)

    def take_in(self, until: Callable[[], object] | None = None) -> None:
        """Hear of the run that is under way."""
        end = time.monotonic() + WAIT_S
        while until is None or not until():
            forwarded = self._next(end)
            kind = forwarded.WhichOneof("type")
            if kind == "new_session":
                self.session = forwarded.new_session.initialize.session_id or self.session
            elif kind == "delta":
                self._show(forwarded.delta)
            elif kind == "script_finished":
                return

    def fill(self, label: str, text: str) -> None:
        """Type into a field."""
        self._set(label, "text_input").string_value = text

    def click(self, label: str, until: Callable[[], object] | None = None) -> None:
        """Press a button and run."""
        name = self.widgets[label].button.id
        self._values[name] = WidgetState(id=name, trigger_value=True)
        try:
            self.run(until)
        finally:
            del self._values[name]

    def upload(self, label: str, name: str, content: bytes) -> httpx.Response:
        """Give a file to an uploader; the answer to the upload."""
        back = BackMsg()
        back.file_urls_request.request_id = "1"
        back.file_urls_request.file_names.append(name)
        back.file_urls_request.session_id = self.session
        self.socket.send(back.SerializeToString())
        end = time.monotonic() + WAIT_S
        while (forwarded := self._next(end)).WhichOneof("type") != "file_urls_response":
            pass
        urls = forwarded.file_urls_response.file_urls[0]
        fields = {"X-Xsrftoken": self.client.cookies[COOKIE]}
        answer = self.client.put(urls.upload_url, files={"file": (name, content)}, headers=fields)
        state = self._set(label, "file_uploader").file_uploader_state_value
        state.uploaded_file_info.add(file_id=urls.file_id, name=name, size=len(content), file_urls=urls)
        return answer

    def said(self, start: str) -> str:
        """The rest of the text that begins so."""
        return next(text.removeprefix(start) for text in self.texts if text.startswith(start))

    def _set(self, label: str, kind: str) -> Any:
        name = getattr(self.widgets[label], kind).id
        self._values[name] = WidgetState(id=name)
        return self._values[name]

    def _next(self, end: float) -> Any:
        forwarded = ForwardMsg()
        forwarded.ParseFromString(self.socket.recv(max(end - time.monotonic(), 0.001)))
        return forwarded

    def _show(self, delta: Any) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "text":
            self.texts.append(element.text.body)
        elif kind == "markdown":
            self.texts.append(element.markdown.body)
        elif kind == "exception":
            self.failures.append(element.exception.message)
        elif kind is not None and hasattr(getattr(element, kind), "label"):
            self.widgets[getattr(element, kind).label] = element


@contextlib.contextmanager
def opened(origin: str, query: str = "", session: str = "", **settings: Any) -> Iterator[Page]:
    """A page that is open while the block runs; ``session`` is the one to go on with. Nothing has run yet."""
    with httpx.Client(base_url=origin, timeout=WAIT_S, **settings) as client:
        client.get("/_stcore/health").raise_for_status()
        token = client.cookies[COOKIE]
        spoken = ["streamlit", token, *([session] if session else [])]
        fields = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
        url = f"ws{origin.removeprefix('http')}/_stcore/stream"
        with connect(url, subprotocols=spoken, additional_headers=fields, proxy=None, max_size=None) as socket:
            assert socket.subprotocol == "streamlit"
            yield Page(client, socket, query)
