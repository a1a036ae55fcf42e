"""Status codes and their reason phrases (RFC 9110 section 15 and the IANA registry)."""

from __future__ import annotations

from http import HTTPStatus

#: Reason phrase by status code, as bytes for the status line.
REASONS: dict[int, bytes] = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
REASONS.update({413: b"Content Too Large", 414: b"URI Too Long", 422: b"Unprocessable Content", 425: b"Too Early"})
