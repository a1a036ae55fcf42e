"""A Streamlit page: a field, buttons that count in the session, a file up and one down, pieces, a mistake."""

import hashlib
import os
import sys

import streamlit as st
from outside import FIRST, SECOND, wait_for_client

st.title("Fruit")
st.text("arguments: " + " ".join(sys.argv[1:]))
st.text(f"process: {os.getpid()}")
st.text(f"option: {st.get_option('server.maxUploadSize')}")

name = st.text_input("Name")
st.text(f"Hello, {name}!")

if st.button("Count"):
    st.session_state["count"] = st.session_state.get("count", 0) + 1
st.text(f"count: {st.session_state.get('count', 0)}")

file = st.file_uploader("File")
if file is not None:
    content = file.getvalue()
    st.text(f"upload: {file.name} {len(content)} {hashlib.sha256(content).hexdigest()}")

st.download_button("Download", data="apples\npears\n" * 1000, file_name="fruit.txt")


def pieces():
    """The second only when the client has seen the first."""
    yield FIRST
    wait_for_client(st.query_params["token"])
    yield SECOND


if st.button("Stream"):
    st.write_stream(pieces())

if st.button("Fail"):
    raise RuntimeError("failed " + st.query_params.get("token", "on purpose"))
