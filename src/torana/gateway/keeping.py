"""What each product keeps in memory for its clients, and so in how many workers it may run: the one place that says so.

Values only. Never here: how a product is met (``recognise`` by its file, ``state`` by its objects, ``products`` when
it is loaded).
"""

from __future__ import annotations

from typing import NamedTuple

from torana.base.worker_policy import ANY, SINGLE, STICKY


class Keeping(NamedTuple):
    """In how many workers an application may run (``base.worker_policy``), and why: a clause without a subject."""

    policy: str
    why: str


NOTHING = Keeping(ANY, "")

STREAMLIT = Keeping(STICKY, "keeps each visitor's Streamlit session in memory")
GRADIO = Keeping(STICKY, "keeps Gradio's queue and session state in memory")
BOKEH = Keeping(STICKY, "keeps each visitor's Bokeh session in memory")
PANEL = Keeping(STICKY, "keeps each visitor's Panel session in memory")
JUPYTER = Keeping(SINGLE, "is a Jupyter server, whose kernels belong to one process")

#: By the names that ``recognise`` gives to products.
OF_PRODUCT = {"streamlit": STREAMLIT, "gradio": GRADIO, "bokeh": BOKEH, "panel": PANEL, "jupyter": JUPYTER}
