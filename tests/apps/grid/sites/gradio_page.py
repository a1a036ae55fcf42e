"""A Gradio demo: a field, a button that counts in the session, a file up and one down, pieces, a mistake."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import gradio as gr
from outside import FIRST, SECOND, failure, wait_for_client

if __name__ == "__main__":
    ARGUMENTS = sys.argv[1:]


def greet(name: str, colour: str) -> str:
    """Two fields."""
    return f"Hello, {name} in {colour}!"


def count(number: int) -> tuple[int, str]:
    """In the session's state."""
    return number + 1, f"count: {number + 1}, process: {os.getpid()}"


def digest(path: str) -> str:
    """Of an upload."""
    content = Path(path).read_bytes()
    return f"upload: {len(content)} {hashlib.sha256(content).hexdigest()}"


def fruit() -> str:
    """A file to download."""
    path = Path(tempfile.mkdtemp()) / "fruit.txt"
    path.write_text("apples\npears\n" * 1000)
    return str(path)


def pieces(token: str):
    """The second only when the client has seen the first."""
    yield FIRST
    wait_for_client(token)
    yield FIRST + SECOND


def fail(token: str) -> str:
    """A mistake."""
    raise failure(token)


def arguments() -> str:
    """What the script has found as its command line."""
    return " ".join(ARGUMENTS)


with gr.Blocks(title="Fruit") as page:
    name, colour, greeting = gr.Textbox(label="Name"), gr.Textbox("green", label="Colour"), gr.Textbox(label="Greeting")
    gr.Button("Greet").click(greet, [name, colour], greeting)
    number, counted = gr.State(0), gr.Textbox(label="Counted")
    gr.Button("Count").click(count, number, [number, counted])
    file, digested = gr.File(label="File"), gr.Textbox(label="Digested")
    file.upload(digest, file, digested)
    made = gr.File(label="Made")
    gr.Button("Make").click(fruit, None, made)
    token, streamed = gr.Textbox(label="Token"), gr.Textbox(label="Streamed")
    gr.Button("Stream").click(pieces, token, streamed)
    gr.Button("Fail").click(fail, token, streamed)
    gr.Button("Arguments").click(arguments, None, streamed)

if __name__ == "__main__":
    page.launch(server_port=1, css="#marked {color: green}", max_threads=5, app_kwargs={"docs_url": "/docs"})
