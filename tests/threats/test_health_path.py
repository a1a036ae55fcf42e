"""The one path that the server answers by itself, asked in every way but the right one (G-088)."""

from __future__ import annotations

import pytest

from tests.threats.stage import Stage
from tests.threats.wire import ask_http2

#: Who is asked: method, target, further fields; whether it is the server.
ASKED: list[tuple[str, str, list[str], bool]] = [
    ("GET", "/healthz", [], True),
    ("HEAD", "/healthz", [], True),
    ("GET", "/healthz?verbose=1&secrets=all", [], True),
    ("GET", "/healthz", ["Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"], True),
    ("GET", "/healthz", ["X-Forwarded-For: 1.2.3.4", "Authorization: Basic eDp5", "Accept: application/json"], True),
    ("POST", "/healthz", [], False),
    ("DELETE", "/healthz", [], False),
    ("OPTIONS", "/healthz", [], False),
    *(
        ("GET", target, [], False)
        for target in (
            *("/healthz/", "//healthz", "/./healthz", "/x/../healthz", "/HEALTHZ", "/%68ealthz", "/healthz%00"),
            *("/healthz%2f", "/healthz;x=1", "/healthz/../admin", "/healthz%3f", "/healthzz"),
        )
    ),
]


def _marked(method: str, target: str, fields: list[str], is_ours: bool) -> object:
    verdict = "`ok` and nothing else, the application not called" if is_ours else "a request to the application"
    sent = " ".join([f"`{method} {target}`", *(f"`{field}`" for field in fields)])
    mark = pytest.mark.threat("G-088", sent=sent, verdict=verdict)
    return pytest.param(method, target, fields, is_ours, id=f"{method} {target} {len(fields)}", marks=mark)


@pytest.mark.parametrize(("method", "target", "fields", "is_ours"), [_marked(*asked) for asked in ASKED])
def test_health_path(method: str, target: str, fields: list[str], is_ours: bool, stage: Stage) -> None:
    stage.events()
    answer = stage.ask(target, method, *fields)
    pseudo = [(":method", method), (":scheme", "http"), (":path", target), (":authority", "t")]
    peer = ask_http2(stage, [(name.encode(), value.encode()) for name, value in pseudo])
    assert answer.status == 200 and peer.heads[1][-1][b":status"] == b"200"
    assert len(stage.calls()) == (0 if is_ours else 2)
    if is_ours:
        assert answer.body == (b"" if method == "HEAD" else b"ok") == peer.bodies.get(1, b"")
        names = {name.lower() for name, _ in answer.fields}
        assert names == {b"content-type", b"cache-control", b"content-length", b"date", b"server", b"connection"}
        assert answer.get("cache-control") == b"no-store"
