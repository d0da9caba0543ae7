"""The API server on a socket: verbs, content types, faults, Status objects."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aiohttp import web

from bridge.sim.kube.apiserver import (
    answers,
    asked,
    binding,
    discovery,
    failure,
    kinds,
    patches,
    paths,
    reviews,
    rights,
    scale,
    strategic,
    tables,
)
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.faults import Fault, Faults
from bridge.sim.kube.apiserver.listing import Lists
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.paths import Place
from bridge.sim.kube.apiserver.request import ADMIN, User, impersonated
from bridge.sim.kube.apiserver.streams import Streams, Wish, raw_of
from bridge.sim.kube.apiserver.watching import View

_RETURNS_DELETED: Final = ("pods", "services", "serviceaccounts", "namespaces")
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
        self._reviews = reviews.Reviews(api.store, tuple(api.kinds), tokens)
        self._lists = Lists(api.store)
        self.streams = Streams(api.store, api.clock, bookmark_s=bookmark_s)
        self.crashes: list[Exception] = []
        """What was our own fault; the embedded stack reports it when it stops."""
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one. Raises OSError."""
        app = web.Application(client_max_size=asked.MOST_SENT + 1)
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
                raise answers.ordered(fault)
            if fault is not None and fault.kind == "drop" and not watching:
                return answers.cut(request)
            user = self._user(request)
            if watching:
                return await self._watch(request, fault, user)
            return await self._answer(request, user)
        except ApiFailure as problem:
            return answers.refusal(problem)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as problem:
            self.crashes.append(problem)
            return answers.refusal(failure.internal(f"{type(problem).__name__}: {problem}"))

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
        if user.bound:
            why = f'User "{user.name}" cannot impersonate resource "users" in API group ""'
            raise failure.forbidden("users", "", name, f"{why} at the cluster scope")
        return impersonated(name, tuple(request.headers.getall("Impersonate-Group", [])))

    async def _watch(
        self, request: web.Request, fault: Fault | None, user: User
    ) -> web.StreamResponse:
        place = paths.parse(request.path, self._api.kinds)
        target = Target(place.kind, place.namespace, place.name, user=user)
        rights.check(self._api.store, "watch", target)
        query = request.query
        initial = query.get("sendInitialEvents")
        wish = Wish(
            view=asked.view(place, query),
            version=query.get("resourceVersion", ""),
            bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
            initial_events=None if initial is None else initial in ("1", "true"),
            timeout_s=asked.whole(query, "timeoutSeconds") or 3600.0,
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
            return answers.document(known)
        last = path.rpartition("/")[2]
        if request.method == "POST" and last in reviews.NAMES:
            review = await asked.body(request)
            return answers.document(self._reviews.answer(last, review, user), code=201)
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
        rights.check(self._api.store, _verb(request.method, target), target)
        match request.method:
            case "GET":
                return self._get(request, target)
            case "POST":
                return await self._post(request, target)
            case "PUT" if place.name:
                answer = await self._api.update(target, await asked.body(request, target.kind))
                return answers.changed(target, answer, code=201 if answer.created else 200)
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
        if place.kind.is_scaled:
            allowed |= {"scale"}
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
        if target.subresource == "scale":
            return answers.document(scale.of(stored))
        view = View(target.kind)
        if tables.ACCEPT in accept:
            shown = tables.table(
                target.kind,
                [stored.object],
                version=str(stored.version),
                now_s=self._api.clock.time(),
            )
            return answers.document(shown)
        return answers.raw(raw_of(view, stored))

    def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        view = asked.view(Place(target.kind, target.namespace), query)
        limit = asked.whole(query, "limit")
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
            return answers.document({**shown, "metadata": fields})
        return answers.raw(answers.list_of(view, page.items, fields))

    async def _post(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await asked.body(request, target.kind)
        if target.subresource == "binding":
            await binding.bind(self._api, target, body)
            return answers.document(answers.success(), code=201)
        if target.subresource == "eviction":
            await binding.evict(self._api, target, body)
            return answers.document(answers.success(), code=201)
        if target.name:
            raise failure.method_not_allowed("POST")
        if target.kind.namespaced and not target.namespace:
            raise failure.method_not_allowed("POST")
        answer = await self._api.create(target, body)
        return answers.changed(target, answer, code=201)

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        form = request.content_type
        document = await asked.document(request)
        if target.subresource == "scale" and form == "application/merge-patch+json":
            owner = replace(target, subresource="")
            answer = await self._api.patch(owner, lambda now: scale.apply(now, document or {}))
            return answers.document(scale.of(answer.stored))
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
        return answers.changed(target, answer)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = asked.delete_options(request.query, await asked.document(request) or {})
        if options.get("dryRun"):
            target = replace(target, dry_run=True)
        if target.name:
            answer = await self._api.delete(target, options)
            if answer.removed and target.kind.plural not in _RETURNS_DELETED:
                return answers.document(
                    answers.success(target.kind, answer.object), warnings=answer.warnings
                )
            return answers.changed(target, answer)
        view = asked.view(Place(target.kind, target.namespace), request.query)
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
        return answers.raw(
            answers.list_of(view, gone, {"resourceVersion": str(self._api.store.version)})
        )


def _verb(method: str, target: Target) -> str:
    """Kubernetes' word for what a method does."""
    match method:
        case "GET":
            return "get" if target.name else "list"
        case "DELETE":
            return "delete" if target.name else "deletecollection"
        case "POST":
            return "create"
        case "PUT":
            return "update"
    return method.lower()
