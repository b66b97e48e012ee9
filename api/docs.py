"""The documentation's page: Swagger UI from our own disk, under a policy that lets it run nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath
from litestar.response import File, Redirect

from api.access import PUBLIC
from api.description import Json

_SWAGGER = Path(__file__).parent.parent / "node_modules" / "swagger-ui-dist"
ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
"""Of what the package brings, these and nothing else: it brings a page about somebody else's shop, too."""

# Swagger UI styles its elements in their attributes and draws with data: URLs.
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>FinToken X</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/static/swagger-5/favicon-32x32.png">
<link rel="stylesheet" href="/static/swagger-5/swagger-ui.css">
</head>
<body>
<div id="swagger"></div>
<script src="/static/swagger-5/swagger-ui-bundle.js"></script>
<script src="/static/docs.js"></script>
</body>
</html>
"""

START = """SwaggerUIBundle({url: "/docs/openapi.json", dom_id: "#swagger", deepLinking: true, validatorUrl: null})
"""

CACHED = {"Cache-Control": "public, max-age=3600"}


class Page(OpenAPIRenderPlugin):
    """The page at /docs; the description itself is at /docs/openapi.json."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return PAGE


@get("/", roles=PUBLIC, include_in_schema=False, sync_to_thread=False)
def home() -> Redirect:
    return Redirect("/docs")


@get("/static/docs.js", roles=PUBLIC, include_in_schema=False, sync_to_thread=False, media_type="text/javascript")
def start() -> Response[str]:
    return Response(START, headers=CACHED)


@get("/static/swagger-5/{name:str}", roles=PUBLIC, include_in_schema=False, sync_to_thread=False)
def asset(name: FromPath[str]) -> File:
    if name not in ASSETS:
        raise NotFoundException
    return File(_SWAGGER / name, filename=name, content_disposition_type="inline", headers=CACHED)


def router() -> Router:
    """Where Litestar hangs the page and the description."""
    return Router("/docs", route_handlers=[], include_in_schema=False, opt={"roles": PUBLIC},
                  before_request=_exists, response_headers={"Content-Security-Policy": POLICY, **CACHED})


async def _exists(request: Request[Any, Any, Any]) -> None:
    """Litestar answers any other address below its router's with a page of its own."""
    if "path" in request.path_params:
        raise NotFoundException


RENDERED = [Page(path="/"), Json(path="/openapi.json")]
