"""The Slurm user of a pod's job: the pod's choice among what its namespace allows.

A namespace is an admin's, a pod is anybody's who may create one; `allowance` reads what the former
says, and the latter chooses inside of it and nothing else. `runAsUser` says nothing here: it is a
number inside a container. Admission asks so that the author reads the refusal; the controller asks
again when it builds the job, because webhooks can be missing and owners carry annotations too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge import names
from bridge.errors import BadInput
from bridge.jobs import allowance
from bridge.jobs.allowance import Allowed
from bridge.model import bounds
from bridge.model.gang import JobParameters
from bridge.model.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings for identities."""

    required: bool = False
    """Whether a namespace has to name a user; else its jobs run as the token's user."""
    pods_choose_user: bool = False
    """Whether `user-id` and `group-id` on pods and their owners may name any user."""
    pods_set_priority: bool = False
    """Whether `priority` on pods and their owners counts: Slurm allows it to operators only."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The job's user, account and so on; "" leaves it to Slurm (the token's user …)."""

    user: str = ""
    group: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""


def of(namespace: Namespace, parameters: JobParameters, rules: Rules) -> Identity:
    """The identity of a job with these parameters. Raises BadInput for the first that is not
    allowed."""
    may = allowance.of(namespace)
    user, group = _person(parameters, may, namespace, rules)
    _check_priority(parameters, rules)
    account, partition, qos = (choice(parameters, may, namespace) for choice in _CHOICES)
    return Identity(user, group, account, partition, qos)


def objections(
    namespace: Namespace, parameters: JobParameters, rules: Rules
) -> tuple[BadInput, ...]:
    """All errors that `of` would raise, so that nobody has to correct them one by one."""
    try:
        may = allowance.of(namespace)
    except BadInput as error:
        return (error,)
    found = []
    checks: tuple[Callable[[JobParameters, Allowed, Namespace], object], ...] = (
        lambda said, may, where: _person(said, may, where, rules),
        lambda said, may, where: _check_priority(said, rules),
        *_CHOICES,
    )
    for check in checks:
        try:
            check(parameters, may, namespace)
        except BadInput as error:
            found.append(error)
    return tuple(found)


def apply(parameters: JobParameters, namespace: Namespace | None, rules: Rules) -> JobParameters:
    """The parameters with all values that the namespace decides.

    Raises BadInput for what is not allowed, and while the namespace is not known: a job as
    somebody else is worse than a job that is late.
    """
    if namespace is None:
        raise BadInput(
            "the pod's namespace is not known yet, so neither is its user in Slurm; the pod is "
            "queued automatically as soon as the namespace is known"
        )
    who = of(namespace, parameters, rules)
    return replace(
        parameters,
        user_id=who.user,
        group_id=who.group,
        account=who.account,
        partition=who.partition,
        qos=who.qos,
    )


def _person(
    parameters: JobParameters, may: Allowed, namespace: Namespace, rules: Rules
) -> tuple[str, str]:
    user, group = parameters.user_id, parameters.group_id
    for suffix, text, theirs in (("user-id", user, may.user), ("group-id", group, may.group)):
        if text and text != theirs and not rules.pods_choose_user:
            raise _not_chosen(suffix, text, theirs, namespace)
        if text and not allowance.is_id(text):
            raise _refused(
                suffix, f"{bounds.shown(text)} is neither a name nor a number of a user or group"
            )
    if not user:
        user, group = may.user, group or may.group
    elif not group and user == may.user:
        group = may.group
    if bool(user) != bool(group):
        lacks = "group-id" if user else "user-id"
        raise _refused(
            lacks, "is missing: Slurm needs user and group together; name both, or none of them"
        )
    if rules.required and not user:
        raise BadInput(
            f"namespace {namespace.name} names no Slurm user, and this bridge submits no job "
            f"without one. Ask the namespace's admin to set its annotation "
            f"{names.NAMESPACE_USER} to user:group",
            field="metadata.namespace",
        )
    return user, group


def _check_priority(parameters: JobParameters, rules: Rules) -> None:
    if parameters.priority is not None and not rules.pods_set_priority:
        raise _refused(
            "priority",
            "must not be set by pods here (identity.podsSetPriority). Remove it, and use a "
            "PriorityClass or a QOS instead",
        )


def _not_chosen(suffix: str, text: str, theirs: str, namespace: Namespace) -> BadInput:
    what = "user" if suffix == "user-id" else "group"
    says = (
        f": its pods are {what} {theirs} in Slurm"
        if theirs
        else f", which names no {what} in its annotation {names.NAMESPACE_USER} (user:group)"
    )
    return _refused(
        suffix,
        f"{bounds.shown(text)} must not be chosen by pods in namespace {namespace.name}{says}. "
        "Remove it, or ask the namespace's admin",
    )


def _one_of(suffix: str, text: str, choice: tuple[str, ...], key: str, namespace: Namespace) -> str:
    if not choice:
        return text
    if text and text not in choice:
        raise _refused(
            suffix,
            f"{bounds.shown(text)} is not allowed in namespace {namespace.name}. Choose one of "
            f"{bounds.some(choice)}, or ask the namespace's admin to add it to the namespace's "
            f"annotation {key}",
        )
    return text or choice[0]


def _refused(suffix: str, why: str) -> BadInput:
    key = names.JOB_PREFIX + suffix
    return BadInput(f"annotation {key}: {why}", field=f"metadata.annotations[{key}]")


_Choice = Callable[[JobParameters, Allowed, Namespace], str]
_CHOICES: tuple[_Choice, ...] = (
    lambda said, may, where: _one_of(
        "account", said.account, may.accounts, names.NAMESPACE_ACCOUNTS, where
    ),
    lambda said, may, where: _one_of(
        "partition", said.partition, may.partitions, names.NAMESPACE_PARTITIONS, where
    ),
    lambda said, may, where: _one_of("qos", said.qos, may.qos, names.NAMESPACE_QOS, where),
)
