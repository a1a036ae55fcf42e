"""What Streamlit would get wrong under a server that is not its own, mended around it; Streamlit itself is in
``tests/apps/grid``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torana.gateway.products.streamlit import StreamlitApp

XSRF = b"_streamlit_xsrf=2|a|b|1; Path=/; SameSite=Lax"


async def answered(scheme: str, *cookies: bytes) -> list[bytes]:
    """The cookies that arrive, of those that were sent."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"content-length", b"0"), *((b"set-cookie", cookie) for cookie in cookies)]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await StreamlitApp(app)({"type": "http", "scheme": scheme}, None, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["headers"][0] == (b"content-length", b"0")
    return [value for name, value in sent[0]["headers"] if name == b"set-cookie"]


@pytest.mark.parametrize(
    ("scheme", "cookie", "arrives"),
    [
        ("https", XSRF, XSRF + b"; Secure"),
        ("http", XSRF, XSRF),
        ("https", XSRF + b"; secure", XSRF + b"; secure"),
        ("https", XSRF + b"; Secure; HttpOnly", XSRF + b"; Secure; HttpOnly"),
        ("https", b"mine=1; Path=/", b"mine=1; Path=/"),
    ],
)
def test_its_cookies_are_secure_over_tls(scheme: str, cookie: bytes, arrives: bytes) -> None:
    assert asyncio.run(answered(scheme, cookie)) == [arrives]
