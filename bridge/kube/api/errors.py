"""What the API server can answer instead of doing it, with a class for what somebody catches.

KubeError                  anything that came of a request
 ├── NotFound              404; or another object has the name now (a uid that does not match)
 │    └── NotServed        the API server has no such kind, or it can't be listed and watched
 ├── Conflict              409: the object changed since it was read: read again, decide again
 ├── AlreadyExists         409 on create
 ├── Gone                  410: the version asked for is compacted: list again
 ├── Invalid               400, 422 …: the request is wrong; repeating it does not help
 ├── Unauthorized          401, after the credentials were read anew
 ├── Forbidden             403: RBAC, or an admission that says no
 └── Unavailable           5xx, no connection, no answer in time      (an `Unreachable`)
      ├── LeadsNoMore      not sent: this process does not lead (any more)
      └── Throttled        429; `retry_after_s` is the server's wish
"""

import json
from collections.abc import Mapping
from typing import Any

from bridge.errors import BridgeError, Unreachable


class KubeError(BridgeError):
    """A request to the API server that was not done.

    `status` is the HTTP status (0 without an answer), `reason` the API server's own word for it,
    `fields` the paths of the offending fields where it names them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        fields: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.fields = fields


class NotFound(KubeError):
    """The object is not there (any more)."""


class NotServed(NotFound):
    """The API server does not serve the kind: its CRD is not installed, or has gone."""


class Conflict(KubeError):
    """The object is not what the request thought it was: read it again, decide again."""


class AlreadyExists(KubeError):
    """An object of that name is there already."""


class Gone(KubeError):
    """The resource version or the continue token is too old: list from the start."""


class Invalid(KubeError):
    """The request itself is refused; the same request will be refused again."""


class Unauthorized(KubeError):
    """The API server does not know us."""


class Forbidden(KubeError):
    """We may not do that (RBAC), or an admission plugin refused it."""


class Unavailable(KubeError, Unreachable):
    """No usable answer; the same request may succeed later (and may have been done)."""


class LeadsNoMore(Unavailable):
    """A change that was not sent, because this process does not lead (any more)."""


class Throttled(Unavailable):
    """The API server asks for patience; the request was not done."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, status=429, reason="TooManyRequests")
        self.retry_after_s = retry_after_s


class Garbled(Unavailable):
    """An answer that can't be read: cut short, not JSON, without end."""


_WHAT_TO_DO: Mapping[type[KubeError], str] = {
    Forbidden: "compare the service account's role with the shipped RBAC manifest",
    Unauthorized: "check the token or the certificate of the kubeconfig or the service account",
}


def from_answer(
    request: str, *, status: int, body: bytes, retry_after_s: float | None = None
) -> KubeError:
    """The error for an answer that is not a 2xx. `request` says what was tried, on what."""
    details: Any
    try:
        details = json.loads(body)
    except ValueError:
        details = None
    if not isinstance(details, Mapping):
        text = body[:200].decode("utf-8", "replace").strip()
        details = {"message": text or "no explanation"}
    return from_status(request, details, status=status, retry_after_s=retry_after_s)


def from_status(
    request: str,
    details: Mapping[str, Any],
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
) -> KubeError:
    """The error for a `Status` object, as in a refused request or in a watch's ERROR event."""
    code = status if status is not None else details.get("code")
    code = code if isinstance(code, int) else 500
    reason = str(details.get("reason") or "")
    said = str(details.get("message") or reason or "no explanation")
    if code == 429:
        wait_s = retry_after_s if retry_after_s is not None else _retry_after(details)
        return Throttled(f"{request}: 429, {said}; try again in {wait_s:g} s", retry_after_s=wait_s)
    kind = Gone if _is_from_the_future(details, said) else _kind(code, reason)
    advice = f"; {_WHAT_TO_DO[kind]}" if kind in _WHAT_TO_DO else ""
    return kind(
        f"{request}: {code} {reason or kind.__name__}, {said}{advice}",
        status=code,
        reason=reason,
        fields=_fields(details),
    )


def _kind(code: int, reason: str) -> type[KubeError]:
    if code == 409:
        return AlreadyExists if reason == "AlreadyExists" else Conflict
    if reason == "Expired":
        return Gone
    by_code: dict[int, type[KubeError]] = {
        401: Unauthorized,
        403: Forbidden,
        404: NotFound,
        410: Gone,
        408: Unavailable,
    }
    if code in by_code:
        return by_code[code]
    return Unavailable if code >= 500 else Invalid


def _is_from_the_future(details: Mapping[str, Any], said: str) -> bool:
    """A version the API server has not reached: etcd was restored. Only a list helps."""
    return "Too large resource version" in said or any(
        isinstance(cause, Mapping) and cause.get("reason") == "ResourceVersionTooLarge"
        for cause in _causes(details)
    )


def _details(details: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = details.get("details")
    return inner if isinstance(inner, Mapping) else {}


def _retry_after(details: Mapping[str, Any]) -> float:
    seconds = _details(details).get("retryAfterSeconds")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 1.0


def _causes(details: Mapping[str, Any]) -> list[Any]:
    causes = _details(details).get("causes")
    return causes if isinstance(causes, list) else []


def _fields(details: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(
        str(cause["field"])
        for cause in _causes(details)
        if isinstance(cause, Mapping) and "field" in cause
    )
