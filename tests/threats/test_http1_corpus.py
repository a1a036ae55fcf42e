"""Section A of the catalogue on real sockets: the parser's corpus, in every delivery, to both kinds of application.

What the application saw is compared with what was sent, request by request; of a refused input it saw nothing, or a
body that never ended.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from tests.threats.sites.notes import SHOWN_BYTES
from tests.threats.stage import Stage
from tests.threats.wire import Outcome, deliver, deliver_cut, deliveries
from tests.unit.wire.corpus import chunks, framing, lines, requests
from tests.unit.wire.corpus.case import Case, Request

#: What others of the server than the parser decide: ``test_http1_upgrades``.
_ELSEWHERE = ("G-033-preface", "G-033-websocket-body")
CASES = [case for case in (*framing.CASES, *chunks.CASES, *lines.CASES, *requests.CASES) if case.id not in _ELSEWHERE]
_VALID = Request("GET", b"/valid", fields=[(b"host", b"t")])
_CANARY = Request("GET", b"/canary", fields=[(b"host", b"t")])
#: Longer inputs are shown by their beginning.
_SHOWN_BYTES = 160
#: Fields of the connection, which WSGI applications are not shown, and those that have other names there.
_NOT_HTTP = (
    *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"),
    *(b"content-length", b"content-type"),
)
#: A request as the application saw it: method, path, fields, body.
Seen = tuple[str, str, str, str]


def _marked(case: Case) -> object:
    sent = repr(case.data[:_SHOWN_BYTES])[2:-1]
    if len(case.data) > _SHOWN_BYTES:
        sent += f" and so on, {len(case.data):,} bytes"
    mark = pytest.mark.threat(case.id[:5], sent=sent, verdict=_verdict(case))
    return pytest.param(case, id=case.id[:60], marks=mark)


def _verdict(case: Case) -> str:
    served = [request for request in case.requests if request.method != "*"]
    if case.status:
        return f"{case.status}, then the end" if not served else f"{len(served)} served, then {case.status} and the end"
    if len(served) != 1:
        return f"{len(served)} requests, and the next one behind them"
    return f"one request, {'with that body, ' if served[0].body else ''}and the next one behind it"


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_verdict(case: Case, stage: Stage) -> None:
    stage.events()
    served = [request for request in case.requests if request.method != "*"]
    methods = [request.method for request in served]
    is_asgi = stage.site == "asgi_site"
    with stage.attacked():
        for delivery in deliveries(case.data):
            has_canary = delivery.name == "before the canary"
            outcome = deliver(
                stage, delivery, ["GET"] * delivery.before + methods, is_half_closed=not (has_canary and case.status)
            )
            wanted = [_VALID] * delivery.before + served + [_CANARY] * (has_canary and not case.status)
            _check(case, outcome, len(wanted))
            _check_calls(case, stage, wanted)
        outcomes = deliver_cut(stage, case.data, methods, share=0 if is_asgi else 1, shares=2)
        for outcome in outcomes:
            _check(case, outcome, len(served))
        _check_calls(case, stage, served * len(outcomes))


def _check(case: Case, outcome: Outcome, served: int) -> None:
    """Oracles (b) and (c)."""
    assert outcome.statuses == [200] * served + ([case.status] if case.status else [])
    assert outcome.end == "fin"
    if case.status:
        assert outcome.answers[-1].get("connection") == b"close"
        assert outcome.answers[-1].get("x-content-type-options") == b"nosniff"


def _check_calls(case: Case, stage: Stage, wanted: list[Request]) -> None:
    """Oracle (a): the calls with a whole body are the requests; others had but a head before all was refused."""
    refused = sum(request.method == "*" for request in case.requests)
    if refused:
        stage.fence()
    events = stage.events()
    whole = [event for event in events if event["event"] == "body" and event["complete"]]
    told = [_with_fields(request, case) for request in wanted]
    # Fields are compared where the case tells them of every request.
    has_fields = all(request.fields is not None for request in told)
    assert Counter(_seen(event, has_fields) for event in whole) == Counter(
        _wanted(request, has_fields, stage.site == "asgi_site") for request in told
    )
    begun = [event for event in events if event["event"] == "call"]
    if refused:
        assert not [event for event in begun if event["path"] == "/canary"]
    else:
        assert len(begun) == len(wanted)


def _with_fields(request: Request, case: Case) -> Request:
    """With the fields that stood in the input, where the case leaves them open and there is but one request."""
    if request.fields is not None or len(case.requests) != 1:
        return request
    head = case.data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    fields = [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in head)]
    return dataclasses.replace(request, fields=fields)


def _seen(event: dict[str, Any], has_fields: bool) -> Seen:
    if "environ" not in event:
        fields = json.dumps(event["headers"]) if has_fields else ""
        return event["method"], event["raw_path"], fields, event["body"]
    named = {key: value for key, value in event["environ"].items() if key.startswith("HTTP_")}
    return event["method"], event["path"], json.dumps(sorted(named.items())) if has_fields else "", event["body"]


def _wanted(request: Request, has_fields: bool, is_asgi: bool) -> Seen:
    body, told, path = request.body[:SHOWN_BYTES].decode("latin-1"), "", request.path.decode("latin-1")
    fields = [(name, value.decode("latin-1")) for name, value in request.fields or ()]
    if not is_asgi:
        path = unquote_to_bytes(request.path).decode("latin-1")
    if has_fields and is_asgi:
        told = json.dumps([[name.decode(), value] for name, value in fields])
    elif has_fields:
        named: dict[str, str] = {}
        for name, value in fields:
            if name not in _NOT_HTTP:
                key = f"HTTP_{name.decode().upper().replace('-', '_')}"
                named[key] = f"{named[key]},{value}" if key in named else value
        told = json.dumps(sorted(list(item) for item in named.items()))
    return request.method, path, told, body
