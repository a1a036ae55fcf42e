"""Placeholder that the first working version replaces."""

from __future__ import annotations

from typing import Any

from torana.exchange.roles import Gateway
from torana.gateway.failure import ErrorPage
from torana.gateway.options import GatewayOptions


class AiohttpGateway(Gateway):
    """Answers for one application."""

    def __init__(self, app: Any, options: GatewayOptions, error_page: ErrorPage | None, request_s: float) -> None:
        raise NotImplementedError
