"""What a review says, and everything that follows from its body alone.

Reading is what costs: a body of three megabytes takes a tenth of a second. So it is a function of
the body and of settings that never change, and can be called in another process (`reader_process`).
What is left for `review` needs the namespaces and the accounts of this moment, and costs nothing.

A `Reading` is small, whatever was sent: the first faults of many, cut texts, no part of the pod
but the few annotations that say who it would be in Slurm.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import pydantic
import pydantic_core

from bridge import names
from bridge.admission import managed_nodes, mutate, protected, scope, validate, wire
from bridge.model import bounds
from bridge.model.refusal import Refusal

_LONGEST_PLACE = 500
"""Of the path to what can't be read; a key of the user's may stand in it."""


class Question(enum.Enum):
    """Which webhook is called."""

    MUTATE = "mutate"
    VALIDATE = "validate"
    USE_OF_NODES = "use of nodes"


@dataclass(frozen=True, slots=True)
class NotAReview:
    """The body is no AdmissionReview that can be answered."""

    message: str


@dataclass(frozen=True, slots=True)
class Untouched:
    """A request that concerns nothing of ours: it is allowed."""

    uid: str


@dataclass(frozen=True, slots=True)
class UnreadablePod:
    """A pod that can't be read: it is refused."""

    uid: str
    message: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that is being created, and whose it would be."""

    namespace: str
    requests_our_scheduler: bool
    ours_if_managed: bool
    """It is the bridge's if its namespace is managed."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A new pod, and the patch that makes it ours."""

    uid: str
    pod: Candidate
    patch: tuple[mutate.Operation, ...]


@dataclass(frozen=True, slots=True)
class Creation:
    """A new pod, and what is to be said of it if it is ours."""

    uid: str
    pod: Candidate
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    identity: Mapping[str, str]
    """Its annotations that say who it would be in Slurm."""
    owned: bool
    """It has a controller, whose annotations count too."""


@dataclass(frozen=True, slots=True)
class Change:
    """An update of a pod of ours."""

    uid: str
    namespace: str
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...]
    identity: Mapping[str, str]
    """As of a `Creation`, after the update."""
    fresh: frozenset[str]
    """The keys of it that this update sets or changes; none if the bridge itself does."""


@dataclass(frozen=True, slots=True)
class ForbiddenUse:
    """A pod or DaemonSet that may not use managed nodes."""

    uid: str
    refusal: Refusal


Reading = NotAReview | Untouched | UnreadablePod | Mutation | Creation | Change | ForbiddenUse


@dataclass(frozen=True, slots=True)
class NotRead:
    """The review was not read this time; the same one may be sent again."""

    code: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ReviewReader:
    """Reads reviews. `bridge_users` are the user names that our own controller has at the API
    server; when empty nobody is held to be it and everybody's changes pass as its own (the
    protection is off)."""

    pods: scope.Scope
    """Of its settings only the scheduler's name is used: the rest is for who decides."""
    bridge_users: frozenset[str] = frozenset()

    def read(self, question: Question, body: bytes) -> Reading:
        """What the body of a call says. Raises nothing that a body could cause."""
        try:
            review = wire.AdmissionReview.model_validate(pydantic_core.from_json(body))
        except ValueError as error:  # pydantic's errors are
            return NotAReview(_first_fault(error, "body"))
        request = review.request
        try:
            if question is Question.USE_OF_NODES:
                return self._use_of_nodes(request)
            if request.operation == "CREATE" and not request.sub_resource:
                return self._new(question, request, wire.Pod.model_validate(request.object))
            if request.operation == "UPDATE" and question is Question.VALIDATE:
                return self._changed(
                    request,
                    old=wire.Pod.model_validate(request.old_object),
                    new=wire.Pod.model_validate(request.object),
                )
        except pydantic.ValidationError as error:
            return UnreadablePod(
                request.uid,
                f"slurm-bridge can't read this pod: {_first_fault(error, 'the object')}; correct "
                "the pod as the Pod reference (core/v1) says",
            )
        return Untouched(request.uid)

    def _new(self, question: Question, request: wire.Request, pod: wire.Pod) -> Mutation | Creation:
        made_by = request.user_info
        candidate = Candidate(
            namespace=_namespace(request, pod),
            requests_our_scheduler=self.pods.requests_our_scheduler(pod),
            ours_if_managed=self.pods.should_manage(pod, managed=True, made_by=made_by),
        )
        if question is Question.MUTATE:
            patch = mutate.operations(pod, pods=self.pods, managed=True, made_by=made_by)
            return Mutation(request.uid, candidate, patch)
        return Creation(
            request.uid,
            candidate,
            refusals=validate.refusals(pod),
            warnings=validate.warnings(pod),
            identity=_identity(pod),
            owned=any(one.controller for one in pod.metadata.owner_references),
        )

    def _use_of_nodes(self, request: wire.Request) -> Untouched | ForbiddenUse:
        """The namespace is not looked at: the API server knows which ones are exempt."""
        name = self.pods.scheduler_name
        refusal = None
        if request.sub_resource or request.operation not in ("CREATE", "UPDATE"):
            return Untouched(request.uid)
        read = _template if request.kind.kind == "DaemonSet" else wire.Pod.model_validate
        new, old = read(request.object), request.old_object
        if old is None or not managed_nodes.tolerates(read(old).spec, name):
            if read is _template:
                refusal = managed_nodes.refusal_of_daemon_set(new, name)
            else:
                refusal = managed_nodes.refusal_of_pod(
                    new, made_by=request.user_info, scheduler_name=name
                )
        return Untouched(request.uid) if refusal is None else ForbiddenUse(request.uid, refusal)

    def _changed(self, request: wire.Request, *, old: wire.Pod, new: wire.Pod) -> Reading:
        if not validate.owned_by_us(old, self.pods):
            return Untouched(request.uid)
        by_bridge = not self.bridge_users or request.user_info.username in self.bridge_users
        identity = _identity(new)
        return Change(
            request.uid,
            _namespace(request, new),
            refusals=protected.refusals(
                old=old, new=new, sub_resource=request.sub_resource, by_bridge=by_bridge
            ),
            warnings=protected.warnings(old=old, new=new),
            identity=identity,
            fresh=frozenset(() if by_bridge else identity.keys() & protected.changed(old, new)),
        )


def _template(daemon_set: object) -> wire.Pod:
    return wire.DaemonSet.model_validate(daemon_set).spec.template


def _namespace(request: wire.Request, pod: wire.Pod) -> str:
    """A name that no namespace can have stays one when it is cut."""
    return (request.namespace or pod.metadata.namespace)[: bounds.LONGEST_OBJECT_NAME + 1]


def _identity(pod: wire.Pod) -> dict[str, str]:
    """A value that is too long stays so when it is cut."""
    values = pod.metadata.annotations
    keys = names.IDENTITY_PARAMETERS & values.keys()
    return {key: values[key][: bounds.LONGEST_VALUE + 1] for key in keys}


def _first_fault(error: ValueError, whole: str) -> str:
    """Where and what, in a line; `whole` names what was read."""
    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:_LONGEST_PLACE] or whole
    return f"{place}: {first['msg'].lower()}"
