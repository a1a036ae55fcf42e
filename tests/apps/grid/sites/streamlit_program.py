"""The same page in a program with a route of its own."""

import streamlit as st
from outside import numbered
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def number(request: Request) -> PlainTextResponse:
    """What ``tests.support.load`` expects."""
    await request.body()
    return PlainTextResponse(numbered(request.path_params["number"]))


app = st.App("streamlit_page.py", routes=[Route("/{number:int}", number, methods=["GET", "POST"])])
