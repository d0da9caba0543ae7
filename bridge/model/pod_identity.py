"""Who a pod is to the selectors of other pods: its namespace and all of its labels.

100,000 pods have few templates: pods of one template have the same labels but for those that number
them. Those are kept apart, so that what is said of a template's labels is worked out once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge import names

NUMBERING: Final = frozenset(
    {
        names.COMPLETION_INDEX,
        "apps.kubernetes.io/pod-index",
        "statefulset.kubernetes.io/pod-name",
        "leaderworkerset.sigs.k8s.io/worker-index",
        "training.kubeflow.org/replica-index",
    }
)
"""Labels by which controllers number the pods of one template."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels as one value. `names` are sorted, `values` belong to them one by one."""

    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: Iterable[tuple[str, str]]) -> "LabelSet":
        """The set of these labels."""
        items = sorted(labels)
        return cls(tuple(key for key, _ in items), tuple(value for _, value in items))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.names, self.values, strict=True)

    def __bool__(self) -> bool:
        return bool(self.names)


NO_LABELS: Final = LabelSet()


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """Namespace and labels. `own` are the labels that number the pod among those of its template
    (`NUMBERING`), `labels` are all others.
    """

    namespace: str
    labels: LabelSet = NO_LABELS
    own: LabelSet = NO_LABELS

    @classmethod
    def of(cls, namespace: str, labels: Mapping[str, str]) -> "PodIdentity":
        """The identity of a pod with these labels."""
        own = [item for item in labels.items() if item[0] in NUMBERING]
        rest = [item for item in labels.items() if item[0] not in NUMBERING]
        return cls(namespace, LabelSet.of(rest), LabelSet.of(own))

    def all_labels(self) -> dict[str, str]:
        """All labels by key."""
        return {**dict(self.labels), **dict(self.own)}

    def with_labels(self, added: Mapping[str, str]) -> "PodIdentity":
        """The identity with these labels too."""
        return PodIdentity.of(self.namespace, {**self.all_labels(), **added})


def common(identities: Iterable[PodIdentity]) -> PodIdentity | None:
    """What these pods of one namespace have in common, without the label that the bridge writes
    when it pins; None for no pods.
    """
    every = list(identities)
    if not every:
        return None
    return PodIdentity(
        every[0].namespace,
        _common({id(one.labels): one.labels for one in every}.values()),
        _common({id(one.own): one.own for one in every}.values()),
    )


def _common(sets: Collection[LabelSet]) -> LabelSet:
    first, *others = sets
    if not others and names.JOB_ID_LABEL not in first.names:
        return first
    shared = set(first)
    for other in others:
        if not shared:
            break
        shared &= set(other)
    return LabelSet.of(item for item in shared if item[0] != names.JOB_ID_LABEL)
