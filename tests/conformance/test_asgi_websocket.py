"""WebSocket over ASGI through the real command: a test for each entry of the checklist (WS-01 to 42, EXT-DENIAL)."""

from __future__ import annotations

import contextlib
import json
import signal
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.raw import Answer, Connection
from tests.support.secure_websocket import secure_websocket
from tests.support.server import Server, running
from tests.support.websocket_raw import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawSocket,
    close_frame,
    frame,
    handshake,
)

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")

HERE = Path(__file__).parent
ACCEPTED = {"type": "websocket.accept"}
CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect"}
OS_ERROR = "ClientDisconnected OSError Exception BaseException object"
MISTAKE = "ApplicationError RuntimeError Exception BaseException object"
START = ["receive", ACCEPTED]


@pytest.fixture(scope="module")
def probe() -> Iterator[Server]:
    flags = ["--ws-ping-interval", "0", "--timeout-ws-close", "1"]
    with running("websocket_probe:app", *flags, app_dir=HERE) as server:
        yield server


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def target(*steps: Any, token: str = "x") -> str:
    """What asks the probe for these steps."""
    return f"/{token}?{quote(json.dumps(steps))}"


def connect(server: Server, *steps: Any, token: str = "x", **more: Any) -> Any:
    """An open WebSocket of the websockets library."""
    return client.connect(
        f"ws://127.0.0.1:{server.port}{target(*steps, token=token)}", **{"proxy": None, "compression": None} | more
    )


@contextlib.contextmanager
def opened(server: Server, *steps: Any, token: str = "x", then: bytes = b"") -> Iterator[RawSocket]:
    """An open WebSocket of plain bytes."""
    with RawSocket(server.address) as raw:
        answer = raw.open(target(*steps, token=token), then=then)
        assert answer.status == 101, answer
        yield raw


def refused(server: Server, *steps: Any, token: str = "x") -> Answer:
    """The answer to a handshake that is not accepted."""
    with RawSocket(server.address) as raw:
        answer = raw.open(target(*steps, token=token))
        assert answer.status != 101
        return answer


def report(server: Server, *steps: Any, **more: Any) -> list[Any]:
    """What came of steps, told in a message."""
    with connect(server, *steps, "report", **more) as socket:
        came: list[Any] = json.loads(socket.recv())
        return came


def noted(server: Server, token: str, mark: str = "[") -> Any:
    """What the probe noted; ``mark`` begins it."""
    line = server.wait_for_log(f"note: {token} {mark}")
    return json.loads(line.partition(f"note: {token} ")[2])


def let_go(server: Server) -> None:
    with Connection(server.address) as connection:
        assert connection.ask("GET", "/let_go").body == b"http"


# scope


def test_ws_01_the_socket_ends_with_the_application(probe: Server) -> None:
    with opened(probe, *START) as raw:
        assert raw.read_frame() == Frame(CLOSE, b"\x03\xe8")
        raw.send(close_frame())
        assert raw.is_ended()


def test_ws_01_the_application_ends_with_the_socket(probe: Server, token: str) -> None:
    with opened(probe, *START, "receive", "note", token=token) as raw:
        raw.reset()
    assert noted(probe, token)[-1]["type"] == "websocket.disconnect"


def test_ws_02_to_07_scope(probe: Server) -> None:
    asked = target("scope", *START, "report", "echo").replace("/x", "/x%20%C3%A4/z%2Fy")
    with client.connect(f"ws://127.0.0.1:{probe.port}{asked}", proxy=None, compression=None) as socket:
        scope = json.loads(socket.recv())[0]
        host, port = socket.socket.getsockname()[:2]
    headers = {item[0]["bytes"]: item[1]["bytes"] for item in scope.pop("headers")}
    assert headers["host"] == f"127.0.0.1:{probe.port}"
    assert headers["upgrade"].lower() == "websocket"
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/x ä/z/y",
        "raw_path": {"bytes": "/x%20%C3%A4/z%2Fy"},
        "query_string": {"bytes": asked.partition("?")[2]},
        "root_path": "",
        "client": [host, port],
        "server": ["127.0.0.1", probe.port],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {"shared": True},
    }


def test_ws_04_scheme_over_tls(tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    authority, chain = trustme.CA(), tmp_path / "chain.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(chain)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    flags = ["--certfile", str(chain), "--keyfile", str(chain)]
    with running("websocket_probe:app", *flags, app_dir=HERE) as server:
        address = f"wss://127.0.0.1:{server.port}{target('scope', *START, 'report', 'echo')}"
        with secure_websocket(address, context) as socket:
            scope = json.loads(socket.recv())[0]
            assert scope["scheme"] == "wss"
            assert scope["extensions"]["tls"]["tls_version"] in (0x303, 0x304)
            for message in ("x" * 100_000, b"y" * 300_000, ""):
                socket.send(message)
                assert socket.recv() == message


@pytest.mark.parametrize(
    ("lines", "offered"),
    [
        ([], []),
        (["Sec-WebSocket-Protocol: chat"], ["chat"]),
        (["Sec-WebSocket-Protocol: chat ,talk,  news"], ["chat", "talk", "news"]),
        (["Sec-WebSocket-Protocol: chat, talk", "sec-websocket-protocol: news"], ["chat", "talk", "news"]),
    ],
)
def test_ws_06_subprotocols_of_all_lines(probe: Server, lines: list[str], offered: list[str]) -> None:
    with RawSocket(probe.address) as raw:
        assert raw.open(target("scope", *START, "report"), *lines).status == 101
        assert json.loads(raw.read_frame().payload)[0]["subprotocols"] == offered


def test_ws_07_state_is_a_copy(probe: Server) -> None:
    for _ in range(2):
        assert report(probe, "scope", *START)[0]["state"] == {"shared": True}


# the handshake


def test_ws_08_handshake_waits_for_the_application(probe: Server, token: str) -> None:
    with RawSocket(probe.address) as raw:
        raw.send(handshake(target("receive", "hold", ACCEPTED, "report", token=token)))
        probe.wait_for_log(f'note: {token} "holding"')
        raw.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            raw.socket.recv(1)
        raw.socket.settimeout(20)
        let_go(probe)
        answer = raw.read_answer()
        assert (answer.status, answer.get("sec-websocket-accept")) == (101, ACCEPT)
        assert json.loads(raw.read_frame().payload) == [CONNECT, "ok"]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send", "text": "x"},
        {"type": "websocket.http.response.body"},
        {"type": "websocket.nope"},
        {"type": "http.response.start", "status": 200},
    ],
)
def test_ws_09_nothing_but_an_answer_before_accept(probe: Server, message: Any) -> None:
    assert report(probe, "receive", message, ACCEPTED) == [CONNECT, MISTAKE, "ok"]


def test_ws_10_no_message_before_accept(probe: Server, token: str) -> None:
    with RawSocket(probe.address) as raw:
        raw.send(handshake(target("receive", "hold", "note", ACCEPTED, "receive", "report", token=token)))
        probe.wait_for_log(f'note: {token} "holding"')
        raw.send(frame(TEXT, b"early"))
        let_go(probe)
        assert noted(probe, token) == [CONNECT]
        assert raw.read_answer().status == 101
        assert json.loads(raw.read_frame().payload)[-1] == {"type": "websocket.receive", "text": "early"}


def test_ws_11_subprotocol(probe: Server) -> None:
    accept = {**ACCEPTED, "subprotocol": "chat"}
    with connect(probe, "receive", accept, "echo", subprotocols=["talk", "chat"]) as socket:
        assert socket.subprotocol == "chat"
    with connect(probe, "receive", {**ACCEPTED, "subprotocol": None}, "echo", subprotocols=["chat"]) as socket:
        assert socket.subprotocol is None


def test_ws_12_subprotocol_that_was_not_offered(probe: Server) -> None:
    wrong = {**ACCEPTED, "subprotocol": "news"}
    assert report(probe, "receive", wrong, ACCEPTED, subprotocols=["chat"])[1:] == [MISTAKE, "ok"]


def pairs(*fields: tuple[str, str]) -> list[Any]:
    return [[{"bytes": name}, {"bytes": value}] for name, value in fields]


def test_ws_13_fields_of_the_application_in_order(probe: Server) -> None:
    accept = {**ACCEPTED, "headers": pairs(("x-a", "1"), ("set-cookie", "a=1"), ("Set-Cookie", "b=2"))}
    with RawSocket(probe.address) as raw:
        answer = raw.open(target("receive", accept))
    names = [name.lower() for name, _ in answer.fields]
    assert answer.get("x-a") == b"1"
    assert answer.get_all("set-cookie") == [b"a=1", b"b=2"]
    assert names.index(b"x-a") < names.index(b"set-cookie")
    assert (answer.get("upgrade"), answer.get("connection")) == (b"websocket", b"upgrade")
    assert answer.get("date") and answer.get("server")
    assert answer.get("content-length") is None and answer.get("transfer-encoding") is None


@pytest.mark.parametrize(
    "field",
    [
        ("sec-websocket-protocol", "chat"),
        ("Sec-WebSocket-Accept", "x"),
        ("sec-websocket-extensions", "permessage-deflate"),
        (":status", "101"),
        ("x", "1\r\ny: 2"),
        ("x", "1\n2"),
        ("x", "\x00"),
        ("x\r\ny", "1"),
        ("", "1"),
    ],
)
def test_ws_14_15_fields_that_may_not_be_there(probe: Server, field: tuple[str, str]) -> None:
    wrong = {**ACCEPTED, "headers": pairs(field)}
    assert report(probe, "receive", wrong, ACCEPTED)[1:] == [MISTAKE, "ok"]
    assert refused(probe, "receive", wrong, {"type": "websocket.close"}).status == 403


def test_ws_16_accept_before_receive(probe: Server) -> None:
    assert report(probe, ACCEPTED, "receive") == ["ok", CONNECT]


def test_ws_17_18_close_before_accept(probe: Server, token: str) -> None:
    answer = refused(probe, "receive", {"type": "websocket.close", "code": 4000}, "receive", "note", token=token)
    assert (answer.status, answer.get("sec-websocket-accept")) == (403, None)
    assert noted(probe, token)[-1] == {**DISCONNECT, "code": 1006, "reason": ""}


def test_ws_17_the_connection_lives_on_after_a_refusal(probe: Server) -> None:
    with RawSocket(probe.address) as raw:
        assert raw.open(target("receive", {"type": "websocket.close"})).status == 403
        assert raw.ask("GET", "/").body == b"http"
        assert raw.open(target(*START, "echo")).status == 101


@pytest.mark.parametrize("step", ["raise", "return"])
def test_ws_19_no_answer_is_a_500(probe: Server, token: str, step: str) -> None:
    mark = probe.mark()
    answer = refused(probe, "receive", step, token=token)
    assert (answer.status, answer.get("upgrade")) == (500, None)
    line = probe.wait_for_log(f"GET /{token}", since=mark)
    assert "ERROR" in line
    if step == "raise":
        probe.wait_for_log(f"a fault of {token}", since=mark)
    else:
        assert f"a fault of {token}" not in probe.log_since(mark)


def test_ws_20_second_accept(probe: Server) -> None:
    assert report(probe, *START, ACCEPTED)[1:] == ["ok", MISTAKE]


# messages


def test_ws_21_whole_messages(probe: Server) -> None:
    with opened(probe, *START, "receive", "receive", "report") as raw:
        raw.send(frame(TEXT, b"a\xc3", is_final=False) + frame(PING, b"p") + frame(CONTINUATION, b"", is_final=False))
        raw.send(frame(CONTINUATION, b"\xa4b") + frame(BINARY, b"1", is_final=False) + frame(CONTINUATION, b"2"))
        # The pong may come before or after the message that was sent while the rest was looked at.
        message, pong = sorted(raw.read_frame() for _ in range(2))
        assert pong == Frame(PONG, b"p")
    assert json.loads(message.payload)[2:] == [
        {"type": "websocket.receive", "text": "aäb"},
        {"type": "websocket.receive", "bytes": {"bytes": "12"}},
    ]


@pytest.mark.parametrize("deflate", [None, "deflate"])
def test_ws_21_inflated(probe: Server, deflate: str | None) -> None:
    with connect(probe, *START, "echo", compression=deflate) as socket:
        for message in ("ä" * 10_000, b"x" * 100_000, "", b"", "short"):
            socket.send(message)
            assert socket.recv() == message


@pytest.mark.parametrize(
    ("opcode", "payload", "event"),
    [
        (TEXT, b"", {"text": ""}),
        (BINARY, b"", {"bytes": {"bytes": ""}}),
        (TEXT, b"\xc3\xa4", {"text": "ä"}),
        (BINARY, b"\xff\x00", {"bytes": {"bytes": "\xff\x00"}}),
    ],
)
def test_ws_22_events(probe: Server, opcode: int, payload: bytes, event: Any) -> None:
    with opened(probe, *START, "receive", "report") as raw:
        raw.send(frame(opcode, payload))
        assert json.loads(raw.read_frame().payload)[-1] == {"type": "websocket.receive", **event}


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ({"text": "ä"}, Frame(TEXT, b"\xc3\xa4")),
        ({"text": ""}, Frame(TEXT, b"")),
        ({"bytes": {"bytes": ""}, "text": None}, Frame(BINARY, b"")),
        ({"text": "a", "bytes": {"bytes": "a"}}, None),
        ({"text": None, "bytes": None}, None),
        ({}, None),
        ({"text": {"bytes": "a"}}, None),
        ({"bytes": "a", "text": None}, None),
        ({"bytes": 5}, None),
    ],
)
def test_ws_23_exactly_one_of_the_two(probe: Server, message: Any, sent: Frame | None) -> None:
    with opened(probe, *START, {"type": "websocket.send", **message}, "report") as raw:
        if sent is not None:
            assert raw.read_frame() == sent
        assert json.loads(raw.read_frame().payload)[-1] == (MISTAKE if sent is None else "ok")


def test_ws_23_text_that_has_no_encoding(probe: Server) -> None:
    lone = {"type": "websocket.send", "text": "\ud800"}
    came = report(probe, *START, lone)
    assert "Error" in came[-1] and "OSError" not in came[-1]


def test_ws_24_ping_is_answered_and_not_told(probe: Server) -> None:
    with opened(probe, *START, "echo") as raw:
        for payload in (b"", b"x" * 125):
            raw.send(frame(PING, payload))
            assert raw.read_frame() == Frame(PONG, payload)
        raw.send(frame(PONG, b"unasked") + frame(TEXT, b"x"))
        assert raw.read_frame() == Frame(TEXT, b"x")


def test_ws_25_server_pings_and_misses_the_answer() -> None:
    flags = ["--ws-ping-interval", "1", "--ws-ping-timeout", "1"]
    with running("websocket_probe:app", *flags, app_dir=HERE) as server:
        with opened(server, *START, "echo", "note", token="dead") as raw:
            opcode, payload, _ = raw.read_frame()
            assert opcode == PING
            raw.send(frame(PONG, payload))
            assert raw.read_frame().opcode == PING
            closing = raw.read_frame()
            while closing.opcode == PING:
                closing = raw.read_frame()
            assert closing.code == 1011
        assert noted(server, "dead")[-1]["code"] == 1006


def test_ws_26_reading_pauses_while_the_application_lags(probe: Server, token: str) -> None:
    with opened(probe, *START, "hold", "echo", "note", token=token) as raw:
        probe.wait_for_log(f'note: {token} "holding"')
        message = frame(BINARY, b"x" * 65536)
        sent = 0
        raw.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent < 1000 * len(message):
                sent += raw.socket.send(message[sent % len(message) :])
        assert sent < 30_000_000, "only what buffers of the kernel hold"
        raw.socket.settimeout(20)
        let_go(probe)
        count = sent // len(message)
        for _ in range(count):
            assert len(raw.read_frame().payload) == 65536


def test_ws_27_sending_waits_for_the_client(probe: Server, token: str) -> None:
    with RawSocket(probe.address, receive_buffer_bytes=8192) as raw:
        assert raw.open(target(*START, "flood", "note", token=token)).status == 101
        waits = noted(probe, token, '{"waits"')["waits"]
        assert waits < 300, "not more than 20 MB are on their way"


def test_ws_28_message_too_large() -> None:
    with running("websocket_probe:app", "--ws-max-size", "100000", app_dir=HERE) as server:
        pieces = frame(BINARY, b"x" * 60_000, is_final=False) + frame(CONTINUATION, b"x" * 60_000)
        cases = {"declared": frame(BINARY, b"x" * 100_001)[:1000], "pieces": pieces}
        for name, data in cases.items():
            with opened(server, *START, "receive", "note", token=name) as raw:
                raw.send(data)
                assert raw.read_frame().code == 1009, name
            assert noted(server, name)[-1]["code"] == 1009
        with connect(server, *START, "receive", "note", token="bomb", compression="deflate") as socket:
            socket.send(b"x" * 100_001)
            with pytest.raises(exceptions.ConnectionClosedError) as closed:
                socket.recv()
            assert closed.value.rcvd.code == 1009
        with connect(server, *START, "echo", compression="deflate", max_size=None) as socket:
            socket.send(b"x" * 100_000)
            assert len(socket.recv()) == 100_000


def test_ws_29_frames_in_one_piece_with_the_handshake(probe: Server) -> None:
    with opened(probe, *START, "echo", then=frame(TEXT, b"a") + frame(TEXT, b"b")) as raw:
        assert [raw.read_frame().payload, raw.read_frame().payload] == [b"a", b"b"]


# closing


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (close_frame(1000), 1000, ""),
        (close_frame(4000, "ré"), 4000, "ré"),
        (frame(CLOSE), 1005, ""),
        (b"", 1006, ""),
    ],
)
def test_ws_30_to_32_34_end_by_the_client(probe: Server, token: str, data: bytes, code: int, reason: str) -> None:
    with opened(probe, *START, "receive", "receive", "note", token=token) as raw:
        if data:
            raw.send(data)
            answer = raw.read_frame()
            assert (answer.opcode, answer.code) == (CLOSE, code)
            assert raw.is_ended()
        else:
            raw.close()
    assert noted(probe, token)[-2:] == [{**DISCONNECT, "code": code, "reason": reason}] * 2


def test_ws_30_end_by_the_server(probe: Server, token: str) -> None:
    closing = {"type": "websocket.close", "code": 4001, "reason": "done"}
    with opened(probe, *START, closing, "receive", "receive", "note", token=token) as raw:
        assert raw.read_frame().code == 4001
        assert noted(probe, token)[-2:] == [{**DISCONNECT, "code": 4001, "reason": "done"}] * 2


def test_ws_31_end_of_a_lost_connection(probe: Server, token: str) -> None:
    with opened(probe, *START, "receive", "note", token=token) as raw:
        raw.reset()
        assert noted(probe, token)[-1] == {**DISCONNECT, "code": 1006, "reason": ""}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"x", bits=0x40), 1002),
        (frame(3, b""), 1002),
        (b"\x81\x01x", 1002),
        (frame(CONTINUATION, b"x"), 1002),
    ],
)
def test_ws_33_end_by_a_fault_of_the_client(probe: Server, token: str, data: bytes, code: int) -> None:
    with opened(probe, *START, "receive", "note", token=token) as raw:
        raw.send(data)
        assert raw.read_frame().code == code
        assert raw.is_ended()
    assert noted(probe, token)[-1]["code"] == code


@pytest.mark.parametrize("way", ["frame", "drop", "own"])
def test_ws_35_send_after_the_end(probe: Server, token: str, way: str) -> None:
    mark = probe.mark()
    again = {"type": "websocket.send", "text": "x"}
    ending: list[Any] = [{"type": "websocket.close"}] if way == "own" else ["receive"]
    with opened(probe, *START, *ending, again, "note", token=token) as raw:
        if way == "frame":
            raw.send(close_frame())
        elif way == "drop":
            raw.reset()
        assert noted(probe, token)[-1] == OS_ERROR
    assert "Traceback" not in probe.log_since(mark)


@pytest.mark.parametrize("step", ["flood", "raise_disconnect"])
def test_ws_35_what_comes_of_the_end_is_not_a_failure(probe: Server, token: str, step: str) -> None:
    mark = probe.mark()
    with opened(probe, *START, "receive", "note", step, token=token) as raw:
        raw.send(close_frame())
        noted(probe, token)
        assert raw.read_frame().opcode == CLOSE
        assert raw.is_ended()
    assert "ERROR" not in probe.log_since(mark)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ({"code": 4321, "reason": "réason"}, 4321, "réason"),
        ({}, 1000, ""),
        ({"code": 1000, "reason": None}, 1000, ""),
        ({"reason": "é" * 200}, 1000, "é" * 61),
    ],
)
def test_ws_36_38_close_by_the_application(probe: Server, message: Any, code: int, reason: str) -> None:
    with opened(probe, *START, {"type": "websocket.close", **message}) as raw:
        closing = raw.read_frame()
        assert (closing.code, closing.reason) == (code, reason)
        raw.send(close_frame(code))
        assert raw.is_ended()


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 9999, "1000"])
def test_ws_37_codes_that_may_not_be_sent(probe: Server, code: Any) -> None:
    assert report(probe, *START, {"type": "websocket.close", "code": code})[-1] == MISTAKE


def test_ws_39_closing_handshake_is_waited_for_and_not_for_ever(probe: Server) -> None:
    with opened(probe, *START, {"type": "websocket.close"}, "hold") as raw:
        assert raw.read_frame().code == 1000
        raw.send(frame(TEXT, b"said before the close was seen") + close_frame())
        assert raw.is_ended()
    with opened(probe, *START, {"type": "websocket.close"}, "hold") as raw:
        assert raw.read_frame().code == 1000
        assert raw.is_ended(), "a client that never answers"
    let_go(probe)


def test_ws_40_end_of_the_application(probe: Server, token: str) -> None:
    with opened(probe, *START) as raw:
        assert raw.read_frame().code == 1000
    mark = probe.mark()
    with opened(probe, *START, "raise", token=token) as raw:
        assert raw.read_frame().code == 1011
    probe.wait_for_log(f"a fault of {token}", since=mark)
    assert probe.log_since(mark).count("Traceback") == 1


def test_ws_41_graceful_stop() -> None:
    with running("websocket_probe:app", app_dir=HERE) as server:
        with opened(server, *START, "echo", "note", token="stop") as raw:
            raw.send(frame(TEXT, b"x"))
            raw.read_frame()
            server.process.send_signal(signal.SIGTERM)
            assert raw.read_frame().code == 1012
            assert noted(server, "stop")[-1]["code"] == 1012
            raw.send(close_frame(1012))
            assert raw.is_ended()


def test_ws_42_second_close(probe: Server, token: str) -> None:
    closing = {"type": "websocket.close"}
    with opened(probe, *START, closing, closing, "note", token=token) as raw:
        assert noted(probe, token)[-1] == OS_ERROR
        assert raw.read_frame().code == 1000
        raw.send(close_frame())
        assert raw.is_ended(), "no second frame"


# the denial response


def denial(status: Any = 401, *fields: tuple[str, str]) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": pairs(*fields)}


def body(data: str, more_body: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": {"bytes": data}, "more_body": more_body}


def test_ext_denial_01_is_advertised(probe: Server) -> None:
    assert report(probe, "scope", *START)[0]["extensions"]["websocket.http.response"] == {}


def test_ext_denial_02_whole_response(probe: Server) -> None:
    answer = refused(probe, "receive", denial(401, ("www-authenticate", "x"), ("content-length", "7")), body("not you"))
    assert (answer.status, answer.body, answer.get("www-authenticate")) == (401, b"not you", b"x")
    assert answer.get("upgrade") is None and answer.get("sec-websocket-accept") is None


def test_ext_denial_03_streamed_response(probe: Server, token: str) -> None:
    with RawSocket(probe.address) as raw:
        steps = ["receive", denial(), body("one", True), "hold", body("two", True), body("three")]
        raw.send(handshake(target(*steps, token=token)))
        probe.wait_for_log(f'note: {token} "holding"')
        assert raw.read_until(b"one")
        let_go(probe)
        assert raw.read_until(b"0\r\n\r\n").count(b"t") == 2


@pytest.mark.parametrize(
    "message", [ACCEPTED, {"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}, denial()]
)
def test_ext_denial_04_nothing_else_may_follow(probe: Server, token: str, message: Any) -> None:
    answer = refused(probe, "receive", denial(), message, body("no"), message, "note", token=token)
    assert (answer.status, answer.body) == (401, b"no")
    assert noted(probe, token)[1:] == ["ok", MISTAKE, "ok", OS_ERROR]


def test_ext_denial_05_body_without_start(probe: Server) -> None:
    assert report(probe, "receive", body("x"), ACCEPTED)[1:] == [MISTAKE, "ok"]


@pytest.mark.parametrize("status", [100, 101, 199, 600, "401", None])
def test_ext_denial_05_status_of_no_answer(probe: Server, status: Any) -> None:
    assert report(probe, "receive", denial(status), ACCEPTED)[1:] == [MISTAKE, "ok"]


@pytest.mark.parametrize("status", [204, 304])
def test_ext_denial_05_status_without_a_body(probe: Server, status: int) -> None:
    answer = refused(probe, "receive", denial(status), body("not sent"))
    assert (answer.status, answer.body) == (status, b"")
    assert answer.get("date") and answer.get("server")


def test_ext_denial_06_is_followed_by_a_disconnect(probe: Server, token: str) -> None:
    refused(probe, "receive", denial(), body("no"), "receive", "receive", "note", token=token)
    assert noted(probe, token)[-2:] == [{**DISCONNECT, "code": 1006, "reason": ""}] * 2
