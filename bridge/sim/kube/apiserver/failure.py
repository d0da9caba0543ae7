"""How the API server refuses: an exception that carries the `Status` object clients get.

One class for all: what differs (code, reason, causes) is data, as it is for every client.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import BridgeError
from bridge.sim.kube.apiserver.objects import Object, encode


class ApiFailure(BridgeError):
    """A request that the API server refuses; `status` is the body of its answer."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Object | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s
        self.plain = False
        """Answered as plain text, not as a Status."""
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.status["reason"] = reason
        if details:
            self.status["details"] = details
        self.status["code"] = code


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with one field, as `kubectl` prints it."""

    type: str
    field: str
    message: str


def invalid_value(field: str, value: Any, detail: str) -> Cause:
    """The field has a value that it may not have."""
    shown = encode(value).decode() if not isinstance(value, str) else f'"{value}"'
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown}: {detail}")


def forbidden_value(field: str, detail: str) -> Cause:
    """The field may not be set, or not be changed that way."""
    return Cause("FieldValueForbidden", field, f"Forbidden: {detail}")


def required_value(field: str, detail: str = "") -> Cause:
    """The field is missing."""
    return Cause("FieldValueRequired", field, f"Required value: {detail}".removesuffix(": "))


def unsupported_value(field: str, value: Any, supported: Sequence[str]) -> Cause:
    """The field takes only some values."""
    listed = ", ".join(f'"{item}"' for item in supported)
    return Cause(
        "FieldValueNotSupported", field, f'Unsupported value: "{value}": supported values: {listed}'
    )


def duplicate_value(field: str, value: Any, detail: str = "") -> Cause:
    """The list may hold the value once only."""
    shown = encode(value).decode()
    return Cause(
        "FieldValueDuplicate", field, f"Duplicate value: {shown}: {detail}".removesuffix(": ")
    )


def too_long(field: str, most: int) -> Cause:
    """The field has more than `most` bytes."""
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {most} bytes")


def qualified(name: str, group: str) -> str:
    """`pods`, `jobs.batch`: a resource or kind with its group."""
    return f"{name}.{group}" if group else name


def not_found(plural: str, group: str, name: str) -> ApiFailure:
    """404: there is no such object."""
    return ApiFailure(
        404,
        "NotFound",
        f'{qualified(plural, group)} "{name}" not found',
        details=_details(group, plural, name),
    )


def no_such_path() -> ApiFailure:
    """404: the path itself is unknown."""
    return ApiFailure(404, "NotFound", "the server could not find the requested resource")


def already_exists(plural: str, group: str, name: str) -> ApiFailure:
    """409: the name is taken."""
    return ApiFailure(
        409,
        "AlreadyExists",
        f'{qualified(plural, group)} "{name}" already exists',
        details=_details(group, plural, name),
    )


def conflict(plural: str, group: str, name: str, why: str) -> ApiFailure:
    """409: the object is not (or no longer) what the request supposed."""
    return ApiFailure(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}',
        details=_details(group, plural, name),
    )


def modified(plural: str, group: str, name: str) -> ApiFailure:
    """409: the resourceVersion of the request is not the object's."""
    return conflict(
        plural,
        group,
        name,
        "the object has been modified; please apply your changes to the latest version and try "
        "again",
    )


def forbidden(plural: str, group: str, name: str, why: str) -> ApiFailure:
    """403."""
    subject = f'{qualified(plural, group)} "{name}"' if name else qualified(plural, group)
    return ApiFailure(
        403, "Forbidden", f"{subject} is forbidden: {why}", details=_details(group, plural, name)
    )


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiFailure:
    """422: the object breaks the kind's rules."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    return ApiFailure(
        422,
        "Invalid",
        f'{qualified(kind, group)} "{name}" is invalid: {text}',
        details={
            **_details(group, kind, name),
            "causes": [
                {"reason": cause.type, "message": cause.message, "field": cause.field}
                for cause in causes
            ],
        },
    )


def stale_precondition(
    plural: str, group: str, namespace: str, name: str, *, what: str, given: str, actual: str
) -> ApiFailure:
    """409: the object is another one (`what` is UID) or another version than was asked for."""
    place = f"/registry/{qualified(plural, '')}/{namespace}/{name}".replace("//", "/")
    return conflict(
        plural,
        group,
        name,
        f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: {what} in precondition: {given}, {what} in "
        f"object meta: {actual}",
    )


def no_such_group() -> ApiFailure:
    """404 for a path under an API group that is not served: plain text, no Status."""
    failure = ApiFailure(404, "NotFound", "404 page not found")
    failure.plain = True
    return failure


def bad_request(message: str) -> ApiFailure:
    """400: the request can't even be read."""
    return ApiFailure(400, "BadRequest", message)


def body_too_large(limit: int) -> ApiFailure:
    """413: the request's body has more than `limit` bytes."""
    text = f"Request entity too large: limit is {limit}"
    return ApiFailure(413, "RequestEntityTooLarge", text)


def object_too_large() -> ApiFailure:
    """500: etcd does not take an object of this size."""
    return ApiFailure(500, "", "etcdserver: request is too large")


def expired(message: str) -> ApiFailure:
    """410: the asked resourceVersion is older than what is remembered."""
    return ApiFailure(410, "Expired", message)


def internal(message: str) -> ApiFailure:
    """500."""
    return ApiFailure(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        details={"causes": [{"message": message}]},
    )


def too_many_requests(retry_after_s: int = 1) -> ApiFailure:
    """429, as priority and fairness answers when it is full."""
    return ApiFailure(
        429,
        "TooManyRequests",
        "too many requests, please try again later",
        details={"retryAfterSeconds": retry_after_s},
        retry_after_s=retry_after_s,
    )


def method_not_allowed(method: str) -> ApiFailure:
    """405."""
    return ApiFailure(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
        details={"causes": [{"message": method}]},
    )


def _details(group: str, kind: str, name: str) -> Object:
    return {
        **({"name": name} if name else {}),
        **({"group": group} if group else {}),
        "kind": kind,
    }
