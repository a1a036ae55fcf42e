"""All fuzz targets by name."""

from __future__ import annotations

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    access_log,
    authority,
    certificate,
    channel,
    extensions,
    fields,
    forwarded,
    handshake,
    hpack,
    http1,
    http1_client,
    http2,
    letters,
    paths,
    peers,
    proxy_protocol,
    settings,
    shared,
    versions,
    websocket,
    written,
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        # What strangers send.
        http1.MESSAGES,
        http1.CHUNKS,
        http1.TRAILERS,
        hpack.BLOCKS,
        http2.FRAMES,
        versions.REQUEST,
        handshake.HEAD,
        extensions.OFFERS,
        extensions.INFLATE,
        websocket.FRAMES,
        proxy_protocol.HEADER,
        authority.AUTHORITY,
        fields.VALUES,
        forwarded.FIELDS,
        paths.PATHS,
        access_log.LINE,
        certificate.DER,
        # What applications and other servers send, and what we write.
        http1_client.RESPONSES,
        written.RELAY,
        written.ANSWERS,
        # Our readings beside those of others.
        peers.HTTP1,
        peers.HPACK,
        peers.HTTP2,
        peers.WEBSOCKET,
        # What our own processes and operators say.
        letters.LETTER,
        channel.MESSAGES,
        channel.CONTROL,
        shared.MEMORY,
        settings.SETTINGS,
    )
}
