"""The same demo as a part of a FastAPI application with a route of its own."""

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from gradio_page import page
from outside import numbered

app = FastAPI()


@app.api_route("/{number:int}", methods=["GET", "POST"])
async def number(request: Request, number: int) -> PlainTextResponse:
    """What ``tests.support.load`` expects."""
    await request.body()
    return PlainTextResponse(numbered(number))


app = gr.mount_gradio_app(app, page, path="/demo")
