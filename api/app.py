"""The Litestar application: routes, problem+json, the OpenAPI page. It is given a running platform and owns nothing."""

from __future__ import annotations

import re
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from api import docs
from api.access import PUBLIC, Guard, provide_caller, require_declared
from api.bodies import StrictRequest
from api.errors import HANDLERS
from api.parameters import check_parameters
from api.rest import (
    audit,
    bills,
    bundles,
    callbacks,
    compliance,
    confirmations,
    health,
    invoices,
    keys,
    marketplace,
    orders,
    privacy,
    receipts,
    register_orders,
    sandbox,
    setbacks,
    subjects,
    suspense,
    tokens,
    trades,
    webhooks,
)
from api.running import Running

ROUTES: list[Any] = [
    subjects.sign_up, subjects.prove_mailbox, subjects.ask_code, subjects.submit_onboarding, subjects.me,
    keys.roll, keys.recover, keys.redeem,
    invoices.upload, invoices.submit, invoices.listing, invoices.show, invoices.timeline,
    setbacks.correct_mailbox, setbacks.withdraw, setbacks.decide_risk,
    confirmations.view, confirmations.confirm,
    marketplace.receivables, marketplace.fund, marketplace.payment_status,
    tokens.show, tokens.slice_token, tokens.list_slice, tokens.listings, tokens.holdings,
    trades.questions, trades.check, trades.check_status, trades.accept, trades.show,
    privacy.show, privacy.close, privacy.place_hold, privacy.lift_hold, privacy.erase, privacy.search, privacy.report,
    callbacks.callbacks, callbacks.record,
    compliance.cases, compliance.case, compliance.decide, compliance.incidents,
    compliance.close_incident,
    orders.freeze, orders.unfreeze, orders.show_token, orders.lock, orders.unlock,
    register_orders.propose_forced_transfer, register_orders.propose_recovery, register_orders.listing,
    register_orders.show, register_orders.approve, register_orders.withdraw,
    bills.own, bills.every,
    suspense.propose, suspense.reroute, suspense.listing, suspense.show, suspense.approve, suspense.withdraw,
    audit.entries, audit.anchors, audit.proof, bundles.export, audit.ledger, audit.ledger_lines,
    receipts.show, receipts.keys,
    webhooks.bank, sandbox.read, sandbox.advance, health.live, health.ready,
]


MEDIA_TYPES = ("", "application/json", "application/pdf", "application/octet-stream")
"""What a body may call itself; a caller that says nothing means what the route takes."""


_CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")


async def check_request(request: Request[Any, Any, Any]) -> None:
    if request.method == "POST" and request.content_type[0] not in MEDIA_TYPES:
        raise HTTPException(status_code=415)
    if request.url.path.startswith("/v1/"):
        check_parameters(request)


@get("/problems/{code:str}", roles=PUBLIC, include_in_schema=False, sync_to_thread=False, media_type=MediaType.TEXT)
def problem_page(code: FromPath[str]) -> Response[str]:
    """Where a problem's `type` leads."""
    if not _CODE.fullmatch(code):
        raise NotFoundException
    return Response(f"{code}\n\nThe `detail` of the answer says what to do. Codes are stable; texts are not.\n")


def create_app(running: Running) -> Litestar:
    def provide_running() -> Running:
        return running

    app = Litestar(
        # One router: registered singly, two handlers of one path would each be wrapped for the thread pool twice.
        route_handlers=[Router("/", route_handlers=ROUTES), problem_page, docs.home, docs.start, docs.asset],
        dependencies={"running": Provide(provide_running, sync_to_thread=False),
                      "caller": Provide(provide_caller, sync_to_thread=False)},
        guards=[Guard(running.authenticate)],
        state=State({"running": running}),
        exception_handlers=HANDLERS,
        before_request=check_request,
        request_class=StrictRequest,
        openapi_config=OpenAPIConfig(
            title="FinToken X", version="1", openapi_router=docs.router(),
            description="Turn a confirmed UK invoice into cash. Money is integer pence; times are UTC.",
            components=Components(security_schemes={"apiKey": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"apiKey": []}], use_handler_docstrings=True,
            render_plugins=docs.RENDERED,
        ),
        debug=False,
        logging_config=None,  # logs are structlog's; Litestar would turn every library's on
        request_max_body_size=None,  # the edge bounds bodies, and says by how much
    )
    require_declared(app)
    return app
