"""The table of what is served: one row per kind. Adding a row is adding an API.

Kinds that are kept under two API groups (events) share one table of the store, as in etcd.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules import apps, jobs, others, pods, storage
from bridge.sim.kube.apiserver.rules.base import Rules


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object, as discovery and paths name it."""

    group: str
    """"" for core."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    has_status: bool = False
    """Whether status is a subresource (a plain update leaves it alone)."""
    has_generation: bool = False
    """Whether metadata.generation counts the changes of spec."""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    rules: Rules = field(default_factory=Rules)
    custom: bool = False
    """From a CustomResourceDefinition: no strategic merge patch, metadata not via status."""
    shares_table_of: str = ""
    is_scaled: bool = False
    """Whether it has the subresource scale, for spec.replicas."""

    @property
    def table(self) -> str:
        """Where the store keeps it."""
        return self.shares_table_of or f"{self.group}/{self.plural}"

    @property
    def api_version(self) -> str:
        """`v1`, `batch/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Path of its API group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


PODS = Kind(
    "", "v1", "pods", "Pod", has_status=True, has_generation=True, short_names=("po",),
    categories=("all",), rules=pods.PodRules(),
)  # fmt: skip
NODES = Kind(
    "", "v1", "nodes", "Node", namespaced=False, has_status=True, short_names=("no",),
    rules=others.NodeRules(),
)  # fmt: skip
NAMESPACES = Kind(
    "", "v1", "namespaces", "Namespace", namespaced=False, has_status=True, short_names=("ns",),
    rules=others.NamespaceRules(),
)  # fmt: skip
EVENTS = Kind("", "v1", "events", "Event", short_names=("ev",), rules=others.EventRules())
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap", short_names=("cm",))
SECRETS = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",))
POD_TEMPLATES = Kind("", "v1", "podtemplates", "PodTemplate", has_generation=True)
SERVICES = Kind("", "v1", "services", "Service", has_status=True, short_names=("svc",))
CLAIMS = Kind(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", has_status=True,
    short_names=("pvc",), rules=storage.ClaimRules(),
)  # fmt: skip
VOLUMES = Kind(
    "", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, has_status=True,
    short_names=("pv",), rules=storage.VolumeRules(),
)  # fmt: skip
STORAGE_CLASSES = Kind(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False,
    short_names=("sc",), rules=storage.StorageClassRules(),
)  # fmt: skip
JOBS = Kind(
    "batch", "v1", "jobs", "Job", has_status=True, has_generation=True, categories=("all",),
    rules=jobs.JobRules(),
)  # fmt: skip
CRON_JOBS = Kind(
    "batch", "v1", "cronjobs", "CronJob", has_status=True, has_generation=True,
    short_names=("cj",), categories=("all",), rules=apps.CronJobRules(),
)  # fmt: skip
REPLICA_SETS = Kind(
    "apps", "v1", "replicasets", "ReplicaSet", has_status=True, has_generation=True,
    short_names=("rs",), categories=("all",), rules=apps.ReplicaRules(),
)  # fmt: skip
DEPLOYMENTS = Kind(
    "apps", "v1", "deployments", "Deployment", has_status=True, has_generation=True,
    short_names=("deploy",), categories=("all",), rules=apps.DeploymentRules(),
)  # fmt: skip
STATEFUL_SETS = Kind(
    "apps", "v1", "statefulsets", "StatefulSet", has_status=True, has_generation=True,
    short_names=("sts",), categories=("all",), rules=apps.StatefulSetRules(),
)  # fmt: skip
DAEMON_SETS = Kind(
    "apps", "v1", "daemonsets", "DaemonSet", has_status=True, has_generation=True,
    short_names=("ds",), categories=("all",), rules=apps.DaemonSetRules(),
)  # fmt: skip
NEW_EVENTS = Kind(
    "events.k8s.io", "v1", "events", "Event", short_names=("ev",), rules=others.NewEventRules(),
    shares_table_of=EVENTS.table,
)  # fmt: skip
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease", rules=others.LeaseRules())
PRIORITY_CLASSES = Kind(
    "scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False,
    short_names=("pc",),
)  # fmt: skip
WORKLOADS = Kind(
    "scheduling.k8s.io", "v1alpha2", "workloads", "Workload", rules=apps.WorkloadRules()
)
POD_GROUPS = Kind(
    "scheduling.k8s.io", "v1alpha2", "podgroups", "PodGroup", has_status=True,
    rules=apps.PodGroupRules(),
)  # fmt: skip
MUTATING_WEBHOOKS = Kind(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration", namespaced=False, has_generation=True,
    rules=others.WebhookConfigurationRules(),
)  # fmt: skip
VALIDATING_WEBHOOKS = Kind(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration", namespaced=False, has_generation=True,
    rules=others.WebhookConfigurationRules(),
)  # fmt: skip
ROLE_BINDINGS = Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
DEFINITIONS = Kind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
    namespaced=False, has_status=True, has_generation=True, short_names=("crd",),
    rules=others.DefinitionRules(),
)  # fmt: skip

BUILT_IN = (
    PODS, NODES, NAMESPACES, EVENTS, CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, SERVICES, CLAIMS,
    VOLUMES, STORAGE_CLASSES, JOBS, CRON_JOBS, REPLICA_SETS, DEPLOYMENTS, STATEFUL_SETS,
    DAEMON_SETS, NEW_EVENTS, LEASES, POD_TEMPLATES, PRIORITY_CLASSES, WORKLOADS, POD_GROUPS,
    MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, ROLE_BINDINGS, DEFINITIONS,
)  # fmt: skip


class Kinds:
    """The rows that are served now."""

    def __init__(self, rows: tuple[Kind, ...] = BUILT_IN) -> None:
        self._by_path = {(row.group, row.version, row.plural): row for row in rows}

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._by_path.values()))

    def add(self, row: Kind) -> None:
        """Serve one more (or replace it)."""
        self._by_path[(row.group, row.version, row.plural)] = row

    def drop(self, group: str, plural: str) -> None:
        """Serve it no more."""
        self._by_path = {
            path: row
            for path, row in self._by_path.items()
            if (row.group, row.plural) != (group, plural)
        }

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """By its path."""
        return self._by_path.get((group, version, plural))

    def of(self, obj: Object) -> Kind | None:
        """By an object's apiVersion and kind."""
        return self.named(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))

    def named(self, api_version: str, kind: str) -> Kind | None:
        """By apiVersion and kind."""
        for row in self._by_path.values():
            if row.kind == kind and row.api_version == api_version:
                return row
        return None


def from_definition(definition: Object) -> list[Kind]:
    """The rows that a CustomResourceDefinition adds: one for each served version."""
    spec = definition["spec"]
    known = spec["names"]
    return [
        Kind(
            group=spec["group"],
            version=version["name"],
            plural=known["plural"],
            kind=known["kind"],
            namespaced=spec.get("scope") == "Namespaced",
            has_status="status" in (version.get("subresources") or {}),
            has_generation=True,
            short_names=tuple(known.get("shortNames") or ()),
            categories=tuple(known.get("categories") or ()),
            rules=others.CustomRules(),
            custom=True,
            is_scaled="scale" in (version.get("subresources") or {}),
        )
        for version in spec.get("versions") or ()
        if version.get("served", True)
    ]
