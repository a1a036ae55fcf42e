"""A Panel program that serves itself: two pages by their paths."""

from __future__ import annotations

from typing import Any

import panel

panel.extension()


def page() -> Any:
    shown = panel.pane.Str("pressed 0")
    button = panel.widgets.Button(name="Press", on_click=lambda event: setattr(shown, "object", f"pressed {event.new}"))
    return panel.Column(button, shown)


if __name__ == "__main__":
    panel.serve({"one": page, "two": page}, port=5999, title={"one": "The first", "two": "The second"}, show=True)
