"""A client of Bokeh's own protocol: the page's token, the WebSocket, presses of buttons and what changes by them.

Lives here: what the page's script does, without a browser. Never here: what an application is expected to show.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

WAIT_S = 30.0


class Document:
    """The document of one session; make it with ``opened``."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        #: Models by their id: name of the class, attributes as far as they were told.
        self.models: dict[str, dict[str, Any]] = {}

    def pull(self) -> None:
        """Ask for the whole document."""
        asked = self._send("PULL-DOC-REQ", {})
        content = self._until(lambda kind, header, content: header.get("reqid") == asked)
        for root in content["doc"]["roots"]:
            self._take_in(root)

    def find(self, name: str, **attributes: Any) -> str:
        """The id of the first model of a class with these attributes."""
        for key, model in self.models.items():
            is_it = model["name"].rpartition(".")[2] == name
            if is_it and all(model["attributes"].get(at) == value for at, value in attributes.items()):
                return key
        raise AssertionError(f"no {name} with {attributes} in {self.models}")

    def press(self, button: str) -> None:
        """Click a button."""
        values = {"type": "map", "entries": [["model", {"id": button}]]}
        event = {"type": "event", "name": "button_click", "values": values}
        self._send("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}]})

    def change(self, model: str, attribute: str, value: Any) -> None:
        """Change an attribute, as a widget does by itself."""
        event = {"kind": "ModelChanged", "model": {"id": model}, "attr": attribute, "new": value}
        self._send("PATCH-DOC", {"events": [event]})

    def wait_for(self, is_it: Callable[[str, Any], object]) -> Any:
        """The new value of the first attribute that changes as wanted: (attribute, value) -> whether."""
        found: list[Any] = []

        def look(kind: str, header: dict[str, Any], content: dict[str, Any]) -> bool:
            assert kind != "ERROR", content
            for event in content.get("events", []) if kind == "PATCH-DOC" else []:
                if event["kind"] == "ModelChanged" and is_it(event["attr"], event["new"]):
                    found.append(event["new"])
            return bool(found)

        self._until(look)
        return found[0]

    def _take_in(self, value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") == "object" and "id" in value:
                self.models[value["id"]] = {"name": value["name"], "attributes": value.get("attributes", {})}
            for inner in value.values():
                self._take_in(inner)
        elif isinstance(value, list):
            for inner in value:
                self._take_in(inner)

    def _send(self, kind: str, content: dict[str, Any]) -> str:
        name = uuid.uuid4().hex
        for part in ({"msgid": name, "msgtype": kind}, {}, content):
            self._socket.send(json.dumps(part))
        return name

    def _receive(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        header, _, content = (json.loads(self._socket.recv(WAIT_S)) for _ in range(3))
        for _ in range(2 * header.get("num_buffers", 0)):
            self._socket.recv(WAIT_S)
        return header["msgtype"], header, content

    def _until(self, is_it: Callable[[str, dict[str, Any], dict[str, Any]], object]) -> dict[str, Any]:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            kind, header, content = self._receive()
            if is_it(kind, header, content):
                return content
        raise AssertionError("the message did not come")


def token_of(page: str) -> str:
    """The token by which a page opens its WebSocket."""
    found = re.search(r'"token":\s*"([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


@contextlib.contextmanager
def opened(origin: str, path: str, query: str = "", *, page_origin: str = "", **said: Any) -> Iterator[Document]:
    """The session of a page while the block runs; ``page_origin``: of a page that was not served here."""
    page = httpx.get(f"{origin}{path}?{query}", trust_env=False, timeout=WAIT_S, verify=said.get("ssl", True))
    assert page.status_code == 200, page.text
    subprotocols = [Subprotocol("bokeh"), Subprotocol(token_of(page.text))]
    url = f"{origin.replace('http', 'ws', 1)}{path}/ws"
    with connect(
        url, subprotocols=subprotocols, origin=Origin(page_origin or origin), proxy=None, max_size=None, **said
    ) as socket:
        document = Document(socket)
        kind, _, _ = document._receive()
        assert kind == "ACK"
        document.pull()
        yield document
