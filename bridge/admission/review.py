"""The edge: the body of the API server's call in, the body of our answer out.

Three kinds of trouble, three answers: a body that is no AdmissionReview gets HTTP 400 (the API
server reports a failed webhook); a pod that can't be read, or asks for what can't be, gets a
refusal that its author reads; nothing raises past here.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pydantic
import pydantic_core

from bridge.admission import mutate, protected, scope, validate, wire
from bridge.admission.people import People
from bridge.admission.refusal import Refusal
from bridge.model.namespace import Namespace

Reply = tuple[int, bytes]
"""HTTP status and JSON body."""

_INVALID = (422, "Invalid")
_FORBIDDEN = (403, "Forbidden")
_TRY_AGAIN = (503, "ServiceUnavailable")
_NOBODY_ASKED = People()


class Reviewer:
    """Answers both webhooks. `bridge_users` are the user names that our own controller has at
    the API server; when empty nobody is held to be it and everybody's changes pass as its own
    (the protection is off)."""

    def __init__(
        self,
        *,
        pods: scope.Scope,
        namespaces: Mapping[str, Namespace],
        people: People = _NOBODY_ASKED,
        bridge_users: frozenset[str] = frozenset(),
    ) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._people = people
        self._bridge_users = bridge_users

    async def mutate(self, body: bytes) -> Reply:
        """Answers the mutating webhook."""
        try:
            request = _read(body)
        except ValueError as error:
            return _bad_request(error)
        if request.operation != "CREATE" or request.sub_resource:
            return _answer(request)
        try:
            pod = wire.Pod.model_validate(request.object)
        except pydantic.ValidationError as error:
            return _unreadable(request, error)
        managed = self._managed(request, pod)
        if managed is None:
            return _namespace_unknown(request)
        patch = mutate.operations(pod, pods=self._pods, managed=managed, made_by=request.user_info)
        return _answer(request, patch=patch)

    async def validate(self, body: bytes) -> Reply:
        """Answers the validating webhook."""
        try:
            request = _read(body)
        except ValueError as error:
            return _bad_request(error)
        try:
            if request.operation == "CREATE" and not request.sub_resource:
                return self._validate_new(request, wire.Pod.model_validate(request.object))
            if request.operation == "UPDATE":
                return self._validate_change(
                    request,
                    old=wire.Pod.model_validate(request.old_object),
                    new=wire.Pod.model_validate(request.object),
                )
        except pydantic.ValidationError as error:
            return _unreadable(request, error)
        return _answer(request)

    def _validate_new(self, request: wire.Request, pod: wire.Pod) -> Reply:
        managed = self._managed(request, pod)
        if managed is None:
            return _namespace_unknown(request)
        if not self._pods.takes(pod, managed=managed, made_by=request.user_info):
            return _answer(request)
        owned = any(one.controller for one in pod.metadata.owner_references)
        refusals = (*validate.refusals(pod), *self._not_allowed(request, pod, owned=owned))
        return _verdict(request, refusals, validate.warnings(pod), _INVALID)

    def _validate_change(self, request: wire.Request, *, old: wire.Pod, new: wire.Pod) -> Reply:
        if not validate.owned_by_us(old, self._pods):
            return _answer(request)
        by_bridge = not self._bridge_users or request.user_info.username in self._bridge_users
        refusals = protected.refusals(
            old=old, new=new, sub_resource=request.sub_resource, by_bridge=by_bridge
        )
        fresh = {f"metadata.annotations[{key}]" for key in protected.changed(old, new)}
        if fresh and not by_bridge:
            found = self._not_allowed(request, new, owned=True)
            refusals = (*refusals, *(refusal for refusal in found if refusal.field in fresh))
        return _verdict(request, refusals, protected.warnings(old=old, new=new), _FORBIDDEN)

    def _not_allowed(
        self, request: wire.Request, pod: wire.Pod, *, owned: bool
    ) -> Iterable[Refusal]:
        """By the namespace. One that is not known yet lets the pod in: the controller will know
        it before it submits anything."""
        namespace = self._namespaces.get(request.namespace or pod.metadata.namespace)
        if namespace is None:
            return ()
        return self._people.refusals(pod.metadata.annotations, namespace, owned=owned)

    def _managed(self, request: wire.Request, pod: wire.Pod) -> bool | None:
        if self._pods.names_us(pod):
            return True
        return self._pods.manages(request.namespace or pod.metadata.namespace, self._namespaces)


def _read(body: bytes) -> wire.Request:
    """Raises ValueError (pydantic's errors are) for anything but an AdmissionReview v1."""
    return wire.AdmissionReview.model_validate(pydantic_core.from_json(body)).request


def _answer(
    request: wire.Request,
    *,
    patch: Sequence[mutate.Operation] = (),
    warnings: Sequence[str] = (),
    status: Mapping[str, Any] | None = None,
) -> Reply:
    response: dict[str, Any] = {"uid": request.uid, "allowed": status is None}
    if patch:
        operations = json.dumps([operation.as_json() for operation in patch])
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(operations.encode()).decode()
    if warnings:
        response["warnings"] = list(warnings)
    if status is not None:
        response["status"] = status
    review = {"apiVersion": wire.REVIEW_VERSION, "kind": "AdmissionReview", "response": response}
    return 200, json.dumps(review).encode()


def _verdict(
    request: wire.Request,
    refusals: Sequence[Refusal],
    warnings: Sequence[str],
    code_and_reason: tuple[int, str],
) -> Reply:
    if not refusals:
        return _answer(request, warnings=warnings)
    sentence = "; ".join(str(refusal) for refusal in refusals)
    return _refuse(request, sentence, code_and_reason, warnings=warnings)


def _refuse(
    request: wire.Request,
    sentence: str,
    code_and_reason: tuple[int, str],
    *,
    warnings: Sequence[str] = (),
) -> Reply:
    code, reason = code_and_reason
    status = {"code": code, "reason": reason, "status": "Failure", "message": sentence}
    return _answer(request, status=status, warnings=warnings)


def _unreadable(request: wire.Request, error: pydantic.ValidationError) -> Reply:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "the object"
    sentence = (
        f"slurm-bridge can't read this pod: {place}: {first['msg'].lower()}; correct it as the "
        "Pod reference (core/v1) says"
    )
    return _refuse(request, sentence, _INVALID)


def _namespace_unknown(request: wire.Request) -> Reply:
    return _refuse(
        request,
        f"slurm-bridge does not know the labels of namespace {request.namespace!r} yet, so it "
        "can't tell whether its pods go to Slurm; try again in a second",
        _TRY_AGAIN,
    )


def _bad_request(error: ValueError) -> Reply:
    """A metav1.Status, so that whoever called by hand can read it."""
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        said = f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg'].lower()}"
    else:
        said = str(error)
    status = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": 400,
        "reason": "BadRequest",
        "message": f"the body is not an AdmissionReview of {wire.REVIEW_VERSION}: {said}",
    }
    return 400, json.dumps(status).encode()
