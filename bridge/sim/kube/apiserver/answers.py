"""The answers of the API server as HTTP: objects, lists, tables, Status, cut connections."""

from collections.abc import Sequence

from aiohttp import web

from bridge.sim.kube.apiserver import failure
from bridge.sim.kube.apiserver.core import Answer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.faults import Fault
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, encode
from bridge.sim.kube.apiserver.store import Stored
from bridge.sim.kube.apiserver.streams import item_of, raw_of
from bridge.sim.kube.apiserver.watching import View


def list_of(view: View, items: Sequence[Stored], fields: Object) -> bytes:
    """A list as it is sent: items of built-in kinds don't repeat kind and apiVersion."""
    kind = view.kind
    if kind.custom:
        fields = {"continue": "", **fields}
    head = encode({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": fields})
    raws = b",".join(raw_of(view, one) if kind.custom else item_of(view, one) for one in items)
    return head[:-1] + b',"items":[' + raws + b"]}"


def changed(target: Target, answer: Answer, *, code: int = 200) -> web.Response:
    """The object after a change."""
    return raw(raw_of(View(target.kind), answer.stored), code=code, warnings=answer.warnings)


def success(kind: Kind | None = None, obj: Object | None = None) -> Object:
    """A Status that says Success, about `obj` if given."""
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if kind is not None and obj is not None:
        details: Object = {"name": obj["metadata"]["name"], "kind": kind.plural}
        if kind.group:
            details["group"] = kind.group
        status["details"] = {**details, "uid": obj["metadata"]["uid"]}
    elif kind is None:
        status["code"] = 201
    return status


def ordered(fault: Fault) -> ApiFailure:
    """The refusal that a fault orders."""
    match fault.code:
        case 429:
            return failure.too_many_requests()
        case 410:
            return failure.expired("too old resource version: 1 (2)")
        case 409:
            return failure.modified("objects", "", "faulty")
        case 500:
            return failure.internal("etcdserver: request timed out")
    return ApiFailure(fault.code, "ServiceUnavailable", "this answer was ordered by a test")


def cut(request: web.Request) -> web.Response:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def refusal(problem: ApiFailure) -> web.Response:
    """A Status that says why not."""
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else {}
    if problem.plain:
        return web.Response(text=f"{problem.message}\n", status=problem.code)
    return web.Response(
        body=encode(problem.status),
        status=problem.code,
        content_type="application/json",
        headers=headers,
    )


def document(obj: Object, *, code: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    """Any JSON object."""
    return raw(encode(obj), code=code, warnings=warnings)


def raw(body: bytes, *, code: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    """JSON that is encoded already; `warnings` as headers of RFC 7234."""
    response = web.Response(body=body, status=code, content_type="application/json")
    for text in warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response
