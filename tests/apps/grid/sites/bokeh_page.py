"""A Bokeh program: a button that counts, a document that fails when it is asked to, a hook at its end."""

from __future__ import annotations

import sys

from bokeh.io import curdoc
from bokeh.layouts import column
from bokeh.models import Button, Div
from outside import failure, waited_for_client

session = curdoc().session_context
arguments = {} if session is None else session.request.arguments
if "fail" in arguments:
    raise failure(arguments["fail"][0].decode())

button = Button(label="Press")
shown = Div(text="pressed 0", name="shown")
words = Div(text=" ".join(sys.argv[1:]), name="words")
count = 0


def pressed() -> None:
    global count
    count += 1
    shown.text = f"pressed {count}"


def begin() -> None:
    """What a callback changes is sent when it returns."""
    shown.text = "first"
    curdoc().add_next_tick_callback(go_on)


async def go_on() -> None:
    await waited_for_client(arguments["wait"][0].decode())
    shown.text = "second"


button.on_click(begin if "wait" in arguments else pressed)
curdoc().add_root(column(button, shown, words))
curdoc().title = "A page of Bokeh"
