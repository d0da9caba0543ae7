"""The API server on a socket: verbs, content types, faults, Status objects."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import yaml
from aiohttp import web

from bridge.sim.kube.apiserver import (
    binding,
    discovery,
    failure,
    kinds,
    patches,
    paths,
    selectors,
    strategic,
    tables,
)
from bridge.sim.kube.apiserver.core import Answer, ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.faults import Fault, Faults
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.listing import Lists
from bridge.sim.kube.apiserver.objects import Object, encode
from bridge.sim.kube.apiserver.paths import Place
from bridge.sim.kube.apiserver.request import ADMIN, User
from bridge.sim.kube.apiserver.store import Stored
from bridge.sim.kube.apiserver.streams import Streams, Wish, item_of, raw_of
from bridge.sim.kube.apiserver.watching import View

_MAX_BODY: Final = 3 * 1024 * 1024
_RETURNS_DELETED: Final = ("pods", "services", "serviceaccounts", "namespaces")
_REVIEWS: Final = frozenset({"selfsubjectaccessreviews", "subjectaccessreviews"})
_HEALTH: Final = frozenset({"/healthz", "/livez", "/readyz"})


class HttpServer:
    """Speaks for an ApiServer on a loopback port.

    `tokens` maps bearer tokens to users; None lets everybody in as administrator.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        faults: Faults,
        tokens: Mapping[str, User] | None = None,
        bookmark_s: float = 60.0,
    ) -> None:
        self._api = api
        self._faults = faults
        self._tokens = tokens
        self._lists = Lists(api.store)
        self.streams = Streams(api.store, api.clock, bookmark_s=bookmark_s)
        self.crashes: list[Exception] = []
        """What was our own fault; the embedded stack reports it when it stops."""
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one. Raises OSError."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=1024)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End all watches and stop listening."""
        self.streams.end_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def compact(self) -> None:
        """Forget history: older watches and continue tokens are answered 410 from now on."""
        self._api.store.compact()
        self._lists.forget()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watching = request.method == "GET" and request.query.get("watch") in ("1", "true")
        fault = self._faults.take("WATCH" if watching else request.method, request.path)
        if fault is None and watching and self._faults:
            fault = self._faults.take("GET", request.path)
        try:
            if fault is not None and fault.kind == "delay":
                await self._api.clock.sleep(fault.delay_s)
            if fault is not None and fault.kind == "error":
                raise _failure_of(fault)
            if fault is not None and fault.kind == "drop" and not watching:
                return _cut(request)
            user = self._user(request)
            if watching:
                return await self._watch(request, fault)
            return await self._answer(request, user)
        except ApiFailure as problem:
            return _refusal(problem)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as problem:
            self.crashes.append(problem)
            return _refusal(failure.internal(f"{type(problem).__name__}: {problem}"))

    def _user(self, request: web.Request) -> User:
        user = ADMIN
        if self._tokens is not None:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            found = self._tokens.get(token.strip()) if scheme == "Bearer" else None
            if found is None:
                raise ApiFailure(401, "Unauthorized", "Unauthorized")
            user = found
        name = request.headers.get("Impersonate-User")
        if not name:
            return user
        groups = tuple(request.headers.getall("Impersonate-Group", []))
        return User(name, (*groups, "system:authenticated"))

    async def _watch(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        place = paths.parse(request.path, self._api.kinds)
        query = request.query
        initial = query.get("sendInitialEvents")
        wish = Wish(
            view=_view(place, query),
            version=query.get("resourceVersion", ""),
            bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
            initial_events=None if initial is None else initial in ("1", "true"),
            timeout_s=float(query.get("timeoutSeconds") or 0) or 3600.0,
            as_table=tables.ACCEPT in request.headers.get("Accept", ""),
        )
        kind = fault.kind if fault is not None else ""
        if kind == "silence":
            return await self.streams.serve(request, wish, fault="silent")
        if kind == "drop":
            return await self.streams.serve(request, wish, fault="dropped")
        if kind == "expire":
            return await self.streams.serve(request, wish, fault="expired")
        return await self.streams.serve(request, wish)

    async def _answer(self, request: web.Request, user: User) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        if path in _HEALTH:
            return web.Response(text="ok")
        known = self._discovery(path)
        if known is not None:
            return _json(known)
        last = path.rpartition("/")[2]
        if request.method == "POST" and last in _REVIEWS:
            asked = await _body(request)
            return _json({**asked, "status": {"allowed": True}}, code=201)
        place = paths.parse(path, self._api.kinds)
        target = Target(
            place.kind,
            place.namespace,
            place.name,
            place.subresource,
            user,
            dry_run=bool(request.query.get("dryRun")),
        )
        if place.subresource:
            self._check_subresource(place)
        match request.method:
            case "GET":
                return self._get(request, target)
            case "POST":
                return await self._post(request, target)
            case "PUT" if place.name:
                answer = await self._api.update(target, await _body(request, target.kind))
                return _changed(target, answer, code=201 if answer.created else 200)
            case "PATCH" if place.name:
                return await self._patch(request, target)
            case "DELETE":
                return await self._delete(request, target)
        raise failure.method_not_allowed(request.method)

    def _discovery(self, path: str) -> Object | None:
        table = self._api.kinds
        parts = path.strip("/").split("/")
        match parts:
            case ["version"]:
                return discovery.VERSION
            case ["api"]:
                return discovery.core_versions()
            case ["apis"]:
                return discovery.groups(table)
            case ["apis", group] if any(kind.group == group for kind in table):
                return discovery.group(table, group)
            case ["api", version]:
                return discovery.resources(table, "", version)
            case ["apis", group, version]:
                return discovery.resources(table, group, version)
            case ["openapi", "v3"]:
                return discovery.openapi_index(table)
            case ["openapi", "v3", *rest]:
                return discovery.openapi(table, "/" + "/".join(rest))
        return None

    def _check_subresource(self, place: Place) -> None:
        allowed = {"status"} if place.kind.has_status else set()
        if place.kind is kinds.PODS:
            allowed |= {"binding", "eviction", "log"}
        if place.kind is kinds.NAMESPACES:
            allowed |= {"finalize"}
        if place.subresource not in allowed:
            raise failure.no_such_path()

    def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        accept = request.headers.get("Accept", "")
        if target.subresource == "log":
            self._api.get(target)
            return web.Response(text="")
        if not target.name:
            return self._list(request, target)
        stored = self._api.get(target)
        view = View(target.kind)
        if tables.ACCEPT in accept:
            shown = tables.table(
                target.kind,
                [stored.object],
                version=str(stored.version),
                now_s=self._api.clock.time(),
            )
            return _json(shown)
        return _raw(raw_of(view, stored))

    def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        view = _view(Place(target.kind, target.namespace), query)
        limit = int(query.get("limit") or 0)
        if query.get("continue"):
            page = self._lists.rest(query["continue"], limit=limit)
        else:
            page = self._lists.first(
                view,
                limit=limit,
                version=query.get("resourceVersion", ""),
                match=query.get("resourceVersionMatch", ""),
            )
        fields: Object = {"resourceVersion": str(page.version)}
        if page.token:
            fields["continue"] = page.token
            if not (view.labels or view.fields):
                fields["remainingItemCount"] = page.remaining
        if tables.ACCEPT in request.headers.get("Accept", ""):
            shown = tables.table(
                target.kind,
                [one.object for one in page.items],
                version=str(page.version),
                now_s=self._api.clock.time(),
            )
            return _json({**shown, "metadata": fields})
        return _raw(_list_of(view, page.items, fields))

    async def _post(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _body(request, target.kind)
        if target.subresource == "binding":
            await binding.bind(self._api, target, body)
            return _json(_success(), code=201)
        if target.subresource == "eviction":
            await binding.evict(self._api, target, body)
            return _json(_success(), code=201)
        if target.name:
            raise failure.method_not_allowed("POST")
        if target.kind.namespaced and not target.namespace:
            raise failure.method_not_allowed("POST")
        answer = await self._api.create(target, body)
        return _changed(target, answer, code=201)

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        form = request.content_type
        document = await _document(request)
        if form == "application/json-patch+json":
            if not isinstance(document, list):
                raise failure.bad_request("a JSON patch is a list of operations")
            answer = await self._api.patch(target, lambda now: patches.apply_json(now, document))
        elif form == "application/merge-patch+json":
            answer = await self._api.patch(target, lambda now: patches.merge(now, document))
        elif form == "application/strategic-merge-patch+json" and not target.kind.custom:
            answer = await self._api.patch(target, lambda now: strategic.merge(now, document))
        elif form == "application/json":
            raise ApiFailure(415, "UnsupportedMediaType", "415: Unsupported Media Type")
        else:
            raise ApiFailure(
                415,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media types include: "
                "application/json-patch+json, application/merge-patch+json"
                + ("" if target.kind.custom else ", application/strategic-merge-patch+json")
                + ", application/apply-patch+yaml",
            )
        return _changed(target, answer)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = _delete_options(request.query, await _document(request) or {})
        if options.get("dryRun"):
            target = replace(target, dry_run=True)
        if target.name:
            answer = await self._api.delete(target, options)
            if answer.removed and target.kind.plural not in _RETURNS_DELETED:
                return _json(_success(target.kind, answer.object), warnings=answer.warnings)
            return _changed(target, answer)
        view = _view(Place(target.kind, target.namespace), request.query)
        gone = list(view.scan(self._api.store))
        for stored in gone:
            one = replace(target, name=stored.object["metadata"]["name"])
            if target.kind.namespaced:
                one = replace(one, namespace=stored.object["metadata"]["namespace"])
            try:
                await self._api.delete(one, options)
            except ApiFailure as problem:
                if problem.code != 404:
                    raise
        return _raw(_list_of(view, gone, {"resourceVersion": str(self._api.store.version)}))


def _list_of(view: View, items: Sequence[Stored], fields: Object) -> bytes:
    """A list as it is sent: items of built-in kinds don't repeat kind and apiVersion."""
    kind = view.kind
    if kind.custom:
        fields = {"continue": "", **fields}
    head = encode({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": fields})
    raws = b",".join(raw_of(view, one) if kind.custom else item_of(view, one) for one in items)
    return head[:-1] + b',"items":[' + raws + b"]}"


def _view(place: Place, query: Mapping[str, str]) -> View:
    fields = selectors.parse_fields(query.get("fieldSelector", ""))
    known = place.kind.rules.field_names | {"metadata.name", "metadata.namespace"}
    for requirement in fields.requirements:
        if requirement.key not in known:
            raise failure.bad_request(f"field label not supported: {requirement.key}")
    if place.name:
        named = selectors.parse_fields(f"metadata.name={place.name}")
        fields = selectors.Selector((*fields.requirements, *named.requirements))
    return View(
        place.kind,
        place.namespace,
        selectors.parse_labels(query.get("labelSelector", "")),
        fields,
    )


async def _document(request: web.Request) -> Any:
    text = await request.read()
    if not text:
        return None
    try:
        if "yaml" in request.content_type:
            return yaml.safe_load(text)
        if "protobuf" in request.content_type:
            raise ApiFailure(
                415, "UnsupportedMediaType", "protobuf is not spoken here; send application/json"
            )
        return json.loads(text)
    except (ValueError, yaml.YAMLError) as problem:
        raise failure.bad_request(f"the object provided is unrecognized: {problem}") from problem


async def _body(request: web.Request, kind: Kind | None = None) -> Object:
    document = await _document(request)
    if not isinstance(document, dict):
        wanted = f" (must be of type {kind.kind})" if kind else ""
        raise failure.bad_request(
            f"the object provided is unrecognized{wanted}: couldn't get version/kind; json parse "
            "error: the body is not an object"
        )
    return document


def _delete_options(query: Mapping[str, str], body: Object) -> Object:
    options = dict(body)
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    for name in ("propagationPolicy", "dryRun"):
        if query.get(name):
            options[name] = query[name]
    if query.get("orphanDependents"):
        options["orphanDependents"] = query["orphanDependents"] in ("1", "true")
    return options


def _changed(target: Target, answer: Answer, *, code: int = 200) -> web.Response:
    return _raw(raw_of(View(target.kind), answer.stored), code=code, warnings=answer.warnings)


def _success(kind: Kind | None = None, obj: Object | None = None) -> Object:
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if kind is not None and obj is not None:
        details: Object = {"name": obj["metadata"]["name"], "kind": kind.plural}
        if kind.group:
            details["group"] = kind.group
        status["details"] = {**details, "uid": obj["metadata"]["uid"]}
    elif kind is None:
        status["code"] = 201
    return status


def _failure_of(fault: Fault) -> ApiFailure:
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


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _refusal(problem: ApiFailure) -> web.Response:
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else {}
    if problem.plain:
        return web.Response(text=f"{problem.message}\n", status=problem.code)
    return web.Response(
        body=encode(problem.status),
        status=problem.code,
        content_type="application/json",
        headers=headers,
    )


def _json(obj: Object, *, code: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    return _raw(encode(obj), code=code, warnings=warnings)


def _raw(body: bytes, *, code: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    response = web.Response(body=body, status=code, content_type="application/json")
    for text in warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response
