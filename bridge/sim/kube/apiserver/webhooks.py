"""Admission webhooks, called over HTTPS as the real API server calls them.

Order, matching (rules, namespaceSelector, objectSelector, matchConditions), failurePolicy,
timeouts, dry run, warnings and the wording of refusals follow Kubernetes 1.36. Not done:
reinvocation, matchPolicy Equivalent.
"""

import base64
import binascii
import json
import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bridge.sim.kube.apiserver import failure, kinds, patches, selectors
from bridge.sim.kube.apiserver.conditions import ConditionFailed, Conditions
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, encode
from bridge.sim.kube.apiserver.request import Review
from bridge.sim.kube.apiserver.store import Store

ServiceResolver = Callable[[str, str, int], tuple[str, int] | None]
"""Host and port of a service (namespace, name, port); None when it has no address."""

_CONNECTIONS: Final = 16
"""A burst of new pods is no burst of TLS handshakes."""
_EXEMPT: Final = "admissionregistration.k8s.io"


def no_services(namespace: str, name: str, port: int) -> tuple[str, int] | None:
    """There is no service network: webhooks must give a url."""
    del namespace, name, port
    return None


class _CallFailed(Exception):
    """The webhook gave no usable answer (failurePolicy decides what that means)."""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    url: str
    server_name: str | None
    tls: ssl.SSLContext | None


class HttpsWebhooks:
    """Calls the webhooks that the stored configurations name."""

    def __init__(self, store: Store, *, resolve: ServiceResolver = no_services) -> None:
        self._store = store
        self._resolve = resolve
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._session: aiohttp.ClientSession | None = None
        self._conditions = Conditions()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def mutate(self, review: Review) -> None:
        """Call the mutating webhooks one after the other; each sees what the one before made."""
        for webhook in self._matching(kinds.MUTATING_WEBHOOKS, review):
            response = await self._decide(webhook, review)
            if response is None:
                continue
            operations = _operations(webhook, response)
            if operations and review.obj is not None:
                review.obj = patches.apply_json(review.obj, operations)

    async def validate(self, review: Review) -> None:
        """Call the validating webhooks; the first refusal counts."""
        for webhook in self._matching(kinds.VALIDATING_WEBHOOKS, review):
            await self._decide(webhook, review)

    def _matching(self, kind: Kind, review: Review) -> Iterator[Object]:
        if not self._store.count(kind.table) or review.kind.group == _EXEMPT:
            return
        for stored in list(self._store.scan(kind.table)):
            for webhook in stored.object.get("webhooks") or ():
                if self._concerns(webhook, review) and self._meets_conditions(webhook, review):
                    yield webhook

    def _concerns(self, webhook: Object, review: Review) -> bool:
        if not any(_rule_covers(rule, review) for rule in webhook.get("rules") or ()):
            return False
        if not selectors.from_object(webhook.get("namespaceSelector")).matches(
            self._namespace_labels(review)
        ):
            return False
        wanted = selectors.from_object(webhook.get("objectSelector"))
        return not wanted or any(
            obj is not None and wanted.matches(obj.get("metadata", {}).get("labels"))
            for obj in (review.obj, review.old)
        )

    def _meets_conditions(self, webhook: Object, review: Review) -> bool:
        variables = {
            "object": review.obj,
            "oldObject": review.old,
            "request": _request("", review),
        }
        try:
            return self._conditions.hold(webhook.get("matchConditions") or (), variables)
        except ConditionFailed as problem:
            if webhook.get("failurePolicy") == "Ignore":
                return False
            kind = review.kind
            raise failure.forbidden(kind.plural, kind.group, review.name, str(problem)) from problem

    def _namespace_labels(self, review: Review) -> dict[str, str]:
        if review.kind is kinds.NAMESPACES:
            obj = review.obj or review.old or {}
            return dict(obj.get("metadata", {}).get("labels") or {})
        stored = self._store.get(kinds.NAMESPACES.table, ("", review.namespace))
        return dict(stored.object["metadata"].get("labels") or {}) if stored else {}

    async def _decide(self, webhook: Object, review: Review) -> Object | None:
        """The response that allows; None when the webhook failed and may be ignored."""
        if review.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise failure.bad_request(
                f'admission webhook "{webhook["name"]}" does not support dry run'
            )
        try:
            response = await self._call(webhook, review)
        except _CallFailed as problem:
            if webhook.get("failurePolicy") == "Ignore":
                return None
            raise failure.internal(
                f'failed calling webhook "{webhook["name"]}": failed to call webhook: {problem}'
            ) from problem
        review.warnings += [str(text) for text in response.get("warnings") or ()]
        if not response.get("allowed"):
            raise _denied(webhook["name"], response.get("status") or {})
        return response

    async def _call(self, webhook: Object, review: Review) -> Object:
        uid = str(uuid.uuid4())
        endpoint = self._endpoint(webhook["clientConfig"])
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS)
            )
        timeout_s = webhook.get("timeoutSeconds", 10)
        try:
            async with self._session.post(
                endpoint.url,
                params={"timeout": f"{timeout_s}s"},
                data=encode(_review_body(uid, review)),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                ssl=endpoint.tls or True,
                server_hostname=endpoint.server_name,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                body = await answer.read()
                code = answer.status
        except TimeoutError as problem:
            raise _CallFailed(f'Post "{endpoint.url}": context deadline exceeded') from problem
        except (aiohttp.ClientError, OSError) as problem:
            raise _CallFailed(f'Post "{endpoint.url}": {problem}') from problem
        if code != 200:
            raise _CallFailed(f"an error on the server ({body.decode(errors='replace')[:200]!r})")
        return _response(uid, body)

    def _endpoint(self, config: Object) -> _Endpoint:
        tls = self._context(config.get("caBundle") or "")
        if config.get("url"):
            return _Endpoint(config["url"], None, tls)
        service = config.get("service") or {}
        namespace, name = service.get("namespace", ""), service.get("name", "")
        port = service.get("port", 443)
        address = self._resolve(namespace, name, port)
        if address is None:
            raise _CallFailed(f'service "{name}" in namespace "{namespace}" has no address')
        host, actual = address
        path = service.get("path", "/")
        return _Endpoint(f"https://{host}:{actual}{path}", f"{name}.{namespace}.svc", tls)

    def _context(self, bundle: str) -> ssl.SSLContext | None:
        if not bundle:
            return None
        if bundle not in self._contexts:
            try:
                pem = base64.b64decode(bundle, validate=True).decode()
                self._contexts[bundle] = ssl.create_default_context(cadata=pem)
            except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as problem:
                raise _CallFailed(f"unable to load root certificates: {problem}") from problem
        return self._contexts[bundle]


def _rule_covers(rule: Object, review: Review) -> bool:
    scope = rule.get("scope", "*")
    return (
        _among(review.operation, rule.get("operations"))
        and _among(review.kind.group, rule.get("apiGroups"))
        and _among(review.kind.version, rule.get("apiVersions"))
        and any(_resource_covers(one, review) for one in rule.get("resources") or ())
        and (scope == "*" or (scope == "Namespaced") == review.kind.namespaced)
    )


def _among(value: str, options: list[str] | None) -> bool:
    return value in (options or ()) or "*" in (options or ())


def _resource_covers(pattern: str, review: Review) -> bool:
    plural, _, subresource = pattern.partition("/")
    return plural in ("*", review.kind.plural) and subresource in (
        ("*",) if subresource == "*" else (review.subresource,)
    )


def _review_body(uid: str, review: Review) -> Object:
    request = {**_request(uid, review), "object": review.obj, "oldObject": review.old}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def _request(uid: str, review: Review) -> Object:
    """The AdmissionRequest without its objects."""
    kind = {"group": review.kind.group, "version": review.kind.version, "kind": review.kind.kind}
    if review.subresource == "binding":
        kind["kind"] = "Binding"
    resource = {
        "group": review.kind.group,
        "version": review.kind.version,
        "resource": review.kind.plural,
    }
    options = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}
    request: Object = {
        "uid": uid,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": review.name,
        "namespace": review.namespace,
        "operation": review.operation,
        "userInfo": {"username": review.user.name, "groups": list(review.user.groups)},
        "dryRun": review.dry_run,
        "options": {
            "kind": options.get(review.operation, "CreateOptions"),
            "apiVersion": "meta.k8s.io/v1",
        },
    }
    if review.subresource:
        request["subResource"] = request["requestSubResource"] = review.subresource
    if not review.name:
        del request["name"]
    return request


def _response(uid: str, body: bytes) -> Object:
    try:
        document: Any = json.loads(body)
    except ValueError as problem:
        raise _CallFailed(f"the answer is no JSON: {problem}") from problem
    response = document.get("response") if isinstance(document, dict) else None
    if not isinstance(response, dict):
        raise _CallFailed("webhook response was absent")
    if response.get("uid") != uid:
        raise _CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    return response


def _operations(webhook: Object, response: Object) -> list[Object]:
    patch = response.get("patch")
    if not patch:
        return []
    if response.get("patchType") != "JSONPatch":
        raise failure.internal(
            f'webhook "{webhook["name"]}" returned response.patch but not '
            'response.patchType="JSONPatch"'
        )
    operations: list[Object] = json.loads(base64.b64decode(patch))
    return operations


def _denied(name: str, status: Object) -> ApiFailure:
    code = max(400, int(status.get("code") or 0))
    message = status.get("message") or status.get("reason") or ""
    text = f'admission webhook "{name}" denied the request'
    text += f": {message}" if message else " without explanation"
    return ApiFailure(code, str(status.get("reason") or ""), text, details=status.get("details"))
