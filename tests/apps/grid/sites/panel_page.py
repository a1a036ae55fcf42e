"""A Panel program: a field, a file, a button that counts, and one that waits for the client."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import panel
from outside import failure, waited_for_client

panel.extension()
arguments = panel.state.session_args
if "fail" in arguments:
    raise failure(arguments["fail"][0].decode())

name = panel.widgets.TextInput(name="Name")
file = panel.widgets.FileInput(name="File")
button = panel.widgets.Button(name="Press")
streaming = panel.widgets.Button(name="Stream")
shown = panel.pane.Str("pressed 0")


def pressed(event: Any) -> None:
    shown.object = f"pressed {event.new}"


async def stream(event: Any) -> None:
    shown.object = "first"
    await waited_for_client(arguments["wait"][0].decode())
    shown.object = "second"


def greet(value: str) -> str:
    return f"Hello, {value}!"


def tell(value: bytes | None) -> str:
    return "nothing" if value is None else f"{file.filename} {len(value)} {hashlib.sha256(value).hexdigest()}"


button.on_click(pressed)
streaming.on_click(stream)
panel.Column(
    name,
    panel.pane.Str(panel.bind(greet, name)),
    file,
    panel.pane.Str(panel.bind(tell, file)),
    button,
    streaming,
    shown,
    panel.pane.Str("arguments: " + " ".join(sys.argv[1:])),
).servable(title="A page of Panel")
