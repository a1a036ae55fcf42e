"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    access_log,
    forwarded,
    handshake,
    hpack,
    http1,
    http1_client,
    http2,
    proxy_protocol,
    versions,
    websocket,
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        http1.MESSAGES,
        http1.CHUNKS,
        http1.TRAILERS,
        http1_client.RESPONSES,
        proxy_protocol.HEADER,
        forwarded.FIELDS,
        access_log.LINE,
        hpack.BLOCKS,
        http2.FRAMES,
        versions.REQUEST,
        handshake.HEAD,
        websocket.FRAMES,
    )
}
