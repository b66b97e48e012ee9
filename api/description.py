"""The API's description for other people's tools: patterns as ECMA-262 writes them, which knows no `\\A` and `\\Z`."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin


class Json(JsonRenderPlugin):
    @staticmethod
    def render_json(request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return _portable(JsonRenderPlugin.render_json(request, openapi_schema))


def _portable(schema: bytes) -> bytes:
    """Every pattern of `domain.forms` begins with `\\A(?:` and ends with `)\\Z`: here with `^(?:` and `)$`."""
    return schema.replace(rb'"\\A(?:', b'"^(?:').replace(rb')\\Z"', b')$"')
