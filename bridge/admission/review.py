"""The edge: the body of the API server's call in, the body of our answer out.

Three kinds of trouble, three answers: a body that is no AdmissionReview gets HTTP 400 (the API
server reports a failed webhook); a pod that can't be read, or asks for what can't be, gets a
refusal that its author reads; nothing raises past here. A body that is not read for now gets the
HTTP status that says so.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

from bridge.admission import mutate, scope, wire
from bridge.admission.identity_validator import IdentityValidator
from bridge.admission.reading import (
    Candidate,
    Change,
    Creation,
    ForbiddenUse,
    Mutation,
    NotAReview,
    NotRead,
    Question,
    Reading,
    ReviewReader,
    UnreadablePod,
    Untouched,
)
from bridge.admission.turns import ReviewTurns
from bridge.model.namespace import Namespace
from bridge.model.refusal import Refusal

Reply = tuple[int, bytes]
"""HTTP status and JSON body."""

MOST_BYTES = 4 << 20
"""Of a review. etcd takes objects of 1.5 MiB, and a review of an update has two of them."""
_INVALID = (422, "Invalid")
_FORBIDDEN = (403, "Forbidden")
_TRY_AGAIN = (503, "ServiceUnavailable")
_NOBODY_ASKED = IdentityValidator()


class Reviewer:
    """Answers all webhooks. `bridge_users` are a `ReviewReader`'s. Without `turns` every body is
    read at once in the event loop."""

    def __init__(
        self,
        *,
        pods: scope.Scope,
        namespaces: Mapping[str, Namespace],
        identity_validator: IdentityValidator = _NOBODY_ASKED,
        bridge_users: frozenset[str] = frozenset(),
        turns: ReviewTurns | None = None,
    ) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._identities = identity_validator
        self._reader = ReviewReader(pods, bridge_users)
        self._turns = turns

    async def mutate(self, body: bytes) -> Reply:
        """Answers the mutating webhook."""
        return self._decide(await self._read(Question.MUTATE, body))

    async def validate(self, body: bytes) -> Reply:
        """Answers the validating webhook."""
        return self._decide(await self._read(Question.VALIDATE, body))

    async def validate_use_of_nodes(self, body: bytes) -> Reply:
        """Answers the webhooks that ask about pods and DaemonSets that tolerate our taint."""
        return self._decide(await self._read(Question.USE_OF_NODES, body))

    async def _read(self, question: Question, body: bytes) -> Reading | NotRead:
        if self._turns is None:
            return self._reader.read(question, body)
        return await self._turns.read(self._reader, question, body)

    def _decide(self, reading: Reading | NotRead) -> Reply:
        match reading:
            case Mutation() | Creation():
                return self._decide_new(reading)
            case Change():
                return self._decide_change(reading)
            case ForbiddenUse(uid, refusal):
                return _verdict(uid, (refusal,), (), _FORBIDDEN)
            case Untouched(uid):
                return _answer(uid)
            case UnreadablePod(uid, message):
                return _refuse(uid, message, _INVALID)
            case NotAReview(message):
                said = f"the body is not an AdmissionReview of {wire.REVIEW_VERSION}: {message}"
                return _failure(400, "BadRequest", said)
            case NotRead(code, reason, message):
                return _failure(code, reason, message)
            case _:
                assert_never(reading)

    def _decide_new(self, reading: Mutation | Creation) -> Reply:
        managed = self._managed(reading.pod)
        if managed is None:
            return _namespace_unknown(reading.uid, reading.pod.namespace)
        if not (reading.pod.requests_our_scheduler or (managed and reading.pod.ours_if_managed)):
            return _answer(reading.uid)
        if isinstance(reading, Mutation):
            return _answer(reading.uid, patch=reading.patch)
        refusals = (
            *reading.refusals,
            *self._not_allowed(reading.pod.namespace, reading.identity, owned=reading.owned),
        )
        return _verdict(reading.uid, refusals, reading.warnings, _INVALID)

    def _decide_change(self, change: Change) -> Reply:
        refusals = change.refusals
        if change.fresh:
            fresh = {f"metadata.annotations[{key}]" for key in change.fresh}
            found = self._not_allowed(change.namespace, change.identity, owned=True)
            refusals = (*refusals, *(refusal for refusal in found if refusal.field in fresh))
        return _verdict(change.uid, refusals, change.warnings, _FORBIDDEN)

    def _not_allowed(
        self, namespace: str, identity: Mapping[str, str], *, owned: bool
    ) -> Iterable[Refusal]:
        """By the namespace. One that is not known yet lets the pod in: the controller will know
        it before it submits anything."""
        known = self._namespaces.get(namespace)
        return () if known is None else self._identities.refusals(identity, known, owned=owned)

    def _managed(self, pod: Candidate) -> bool | None:
        return (
            True
            if pod.requests_our_scheduler
            else self._pods.manages(pod.namespace, self._namespaces)
        )


def _answer(
    uid: str,
    *,
    patch: Sequence[mutate.Operation] = (),
    warnings: Sequence[str] = (),
    status: Mapping[str, Any] | None = None,
) -> Reply:
    response: dict[str, Any] = {"uid": uid, "allowed": status is None}
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
    uid: str,
    refusals: Sequence[Refusal],
    warnings: Sequence[str],
    code_and_reason: tuple[int, str],
) -> Reply:
    if not refusals:
        return _answer(uid, warnings=warnings)
    sentence = "; ".join(str(refusal) for refusal in refusals)
    return _refuse(uid, sentence, code_and_reason, warnings=warnings)


def _refuse(
    uid: str,
    sentence: str,
    code_and_reason: tuple[int, str],
    *,
    warnings: Sequence[str] = (),
) -> Reply:
    code, reason = code_and_reason
    status = {"code": code, "reason": reason, "status": "Failure", "message": sentence}
    return _answer(uid, status=status, warnings=warnings)


def _namespace_unknown(uid: str, namespace: str) -> Reply:
    return _refuse(
        uid,
        f"slurm-bridge does not know the labels of namespace {namespace!r} yet, so it "
        "can't tell whether its pods go to Slurm; try again in a second",
        _TRY_AGAIN,
    )


def _failure(code: int, reason: str, message: str) -> Reply:
    """A metav1.Status, so that whoever called by hand can read it."""
    status = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
    return code, json.dumps(status).encode()
