"""Who asks, and what Kubernetes lets them see: TokenReview and SubjectAccessReview.

The answers are kept for a short time, tokens only as hashes. Nothing that is raised or logged
here contains a token, or an answer that might repeat one.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.kube.api.client import KubeClient
from bridge.kube.api.errors import KubeError
from bridge.kube.api.throttle import TokenBucket

KNOWN_S: Final = 10.0
"""How long an answer of the API server counts: so long a token that was withdrawn still works."""
_MOST: Final = 2_000
_LONGEST_TOKEN: Final = 16_384
_PER_S, _BURST = 20.0, 100
"""Reviews: whoever shows one wrong token after the other must not use up the bridge's requests."""
_MOST_WAITING: Final = 200
_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
T = TypeVar("T")


class NotKnown(BridgeError):
    """There is no token, or the API server does not take it."""


class NotAllowed(BridgeError):
    """Kubernetes would not show the caller what he asks for."""


class TooMany(BridgeError):
    """More reviews are waiting than are made."""


class NotReviewed(BridgeError):
    """The API server does not answer, or may not be asked by the bridge."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, as the API server knows him."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked for. `namespace` "" is all of them, `name` "" any object."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource} {self.name}" if self.name else self.resource
        where = f"in namespace {self.namespace}" if self.namespace else "at cluster scope"
        return f"{self.verb} {what} {where}"


class Callers:
    """Asks the API server about callers."""

    def __init__(self, kube: KubeClient, *, clock: Clock) -> None:
        self._kube = kube
        self._bucket = TokenBucket(per_s=_PER_S, burst=_BURST, clock=clock)
        self._waiting = 0
        self._users: _Answers[Caller | None] = _Answers(clock)
        self._rights: _Answers[bool] = _Answers(clock)

    async def who(self, authorization: str) -> Caller:
        """The user whose token stands in the metadata `authorization`. Raises NotKnown, TooMany,
        NotReviewed."""
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
            raise NotKnown(
                "no token: send a Kubernetes bearer token as metadata (authorization: Bearer "
                "TOKEN). slurm-bridge takes it from the kubeconfig, or from --token-file"
            )
        digest = hashlib.sha256(token.encode()).digest()
        caller = await self._users.of(digest, lambda: self._review(token))
        if caller is None:
            raise NotKnown(
                "the API server does not know this token: it has expired, or is of another "
                "cluster. Try `kubectl auth whoami` with the same context"
            )
        return caller

    async def check(self, caller: Caller, access: Access) -> None:
        """Raises NotAllowed unless Kubernetes lets the caller do that; TooMany, NotReviewed."""
        if not await self._rights.of((caller, access), lambda: self._may(caller, access)):
            raise NotAllowed(
                f'user "{caller.name}" may not {access}, so slurm-bridge does not show it '
                "either; whoever administers the cluster can grant it"
            )

    async def _review(self, token: str) -> Caller | None:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        status = (await self._ask(_TOKEN_REVIEWS, body)).get("status") or {}
        user = status.get("user") or {}
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        extra = user.get("extra") or {}
        return Caller(
            str(user["username"]),
            str(user.get("uid") or ""),
            tuple(map(str, user.get("groups") or ())),
            tuple((str(key), tuple(map(str, values or ()))) for key, values in extra.items()),
        )

    async def _may(self, caller: Caller, access: Access) -> bool:
        attributes = {
            "verb": access.verb,
            "resource": access.resource,
            "namespace": access.namespace,
            "name": access.name,
        }
        spec: dict[str, object] = {
            "user": caller.name,
            "uid": caller.uid,
            "groups": list(caller.groups),
            "extra": {key: list(values) for key, values in caller.extra},
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": spec,
        }
        status = (await self._ask(_ACCESS_REVIEWS, body)).get("status") or {}
        return status.get("allowed") is True and status.get("denied") is not True

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._waiting >= _MOST_WAITING:
            raise TooMany("too many callers at once; try again in a few seconds")
        self._waiting += 1
        try:
            await self._bucket.take()
            return await self._kube.create(path, body)
        except KubeError as error:
            # What the API server answers may repeat the token, and so may its cause.
            status = f" ({error.status})" if error.status else ""
            problem = f"{type(error).__name__}{status}"
        finally:
            self._waiting -= 1
        raise NotReviewed(
            f"can't ask the API server about the caller: POST {path}: {problem}; if that lasts, "
            "compare the bridge's rights with deploy/rbac.yaml"
        )


class _Answers(Generic[T]):
    """Answers that are kept for a while; who asks the same meanwhile waits for the same answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._asked: dict[Hashable, asyncio.Lock] = {}

    async def of(self, question: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        known = self._fresh(question)
        if known is not None:
            return known[1]
        lock = self._asked.setdefault(question, asyncio.Lock())
        try:
            async with lock:
                known = self._fresh(question)
                if known is not None:
                    return known[1]
                begun_s = self._clock.monotonic()
                answer = await ask()
                self._known[question] = (begun_s, answer)
                self._known.move_to_end(question)
                while len(self._known) > _MOST:
                    self._known.popitem(last=False)
                return answer
        finally:
            if not lock.locked():
                self._asked.pop(question, None)

    def _fresh(self, question: Hashable) -> tuple[float, T] | None:
        known = self._known.get(question)
        if known is None or self._clock.monotonic() - known[0] > KNOWN_S:
            return None
        return known
