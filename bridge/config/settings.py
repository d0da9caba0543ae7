"""The settings: one frozen tree, read once at the start; each part of the bridge gets its section.

Keys are camelCase in the file, as in the Go bridge's file, whose keys are accepted unchanged. The
reference prints the docstring under each field, so the docstring says what the value does, its
unit, and what its empty value means.
"""

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from bridge import label_selectors, names
from bridge.config.capacity import CapacitySettings
from bridge.config.forms import Address, Url, UrlOrNone, lower
from bridge.config.nodes import NodeSettings
from bridge.config.processes import ApiSettings, LeaderSettings, RpcSettings
from bridge.config.section import Section
from bridge.config.workloads import WorkloadSettings
from bridge.errors import BadInput

_QUANTITY = r"^\d+(\.\d+)?([kMGTPE]|[KMGTPE]i)?$"


class SlurmSettings(Section):
    """How to reach and use Slurm."""

    endpoints: tuple[Url, ...] = ()
    """URLs of slurmrestd, tried in order: http, https, or a socket (`unix:///run/rest.sock`)."""
    ca_file: str = ""
    """CA of https endpoints, as PEM; "" trusts the system's authorities."""
    proxy: UrlOrNone = ""
    """URL of the HTTP proxy to slurmrestd; "" connects directly, whatever HTTP_PROXY says."""
    token_file: str = ""
    """File with the JWT, read again every second; while it can't be read, the last token stays in
    use. The environment variable SLURM_JWT_FILE sets it too. "" sends no token, which works only
    with Unix sockets (`rest_auth/local`, where the bridge has to run as slurmrestd's user): with an
    http or https endpoint the bridge does not start without a token."""
    user: str = ""
    """User name sent with each request (X-SLURM-USER-NAME); "" sends none: the token or the socket
    then names the user."""
    request_timeout_s: float = Field(default=10.0, gt=0)
    """Maximum time, in seconds, that slurmrestd may be silent during a request; the whole request
    may take twice as long. /readyz says so when Slurm's jobs were not listed for the longest
    time between two polls plus twice this time, at least 15 s."""
    poll_interval_s: float = Field(default=0.5, ge=0.02)
    """Time between two polls of the jobs' states while the bridge has jobs in Slurm, in seconds;
    without jobs it grows to 5 s. If a poll takes long, the next ones come less often, up to every
    5 s, so that polling takes a fiftieth of the time."""
    poll_quick_s: float = Field(default=0.05, ge=0.01)
    """Time to the first poll after the bridge itself has submitted or changed a job, in seconds."""
    detail_gets_per_s: float = Field(default=20.0, gt=0)
    """Maximum number of reads per second of details that change without a change of state (a
    pending job's reason, its expected start). A job that holds nodes counts twice; when no job has
    changed its state for 10 s, only a tenth of the reads are made. While some job waits, as many
    small reads may ask running jobs with GraceTime whether they are preempted."""


class KubernetesSettings(Section):
    """How to reach the API server."""

    kubeconfig: str = ""
    """Path of the kubeconfig; "" takes $KUBECONFIG, then the pod's own service account, then
    ~/.kube/config."""
    context: str = ""
    """Context of the kubeconfig; "" takes its current one."""
    qps: float = Field(default=200.0, gt=0)
    """Average number of requests per second to the API server. Lists and watches do not count."""
    burst: int = Field(default=400, gt=0)
    """Requests that may be sent at once before `qps` applies."""


class ServerSettings(Section):
    """The bridge's HTTPS server (webhook, extender) and its HTTP server (probes, metrics)."""

    listen: Address = "[::]:9443"
    """host:port of HTTPS (webhook, extender); [::] accepts IPv4 too."""
    metrics_listen: Address = "[::]:8080"
    """host:port of /livez, /readyz and /metrics (plain HTTP)."""
    certificate_dir: str = ""
    """Folder with tls.crt, tls.key and ca.crt, read again when they change. If the folder has no
    tls.crt, the bridge makes its own certificates, with client.crt and client.key for
    kube-scheduler, and at each start replaces those that expire soon. "" makes all of them at each
    start, in a new temporary folder."""
    client_ca_file: str = ""
    """CA whose client certificates may call the extender, read again when it changes; "" takes
    ca.crt of `certificateDir`. No other caller may call the extender, so without a CA the bridge
    does not start. If there are too many callers, those with such a certificate have priority."""
    max_connections: int = Field(default=2048, ge=16, le=60_000)
    """Maximum number of open connections to HTTPS, at about 50 KiB of memory each; fewer if the
    process may not open so many files. If there are more, the address with the most connections
    loses the one that has been idle longest. Probes have 256 connections of their own."""
    memory_mib: int = Field(default=128, ge=16)
    """Maximum memory for requests in flight, of all servers, in MiB as received. Handling them may
    take as much again, and the process that reads large reviews up to 200 MiB more. If requests
    need more, the newest large request of the address that sends the most is refused (503)."""


class PlacementSettings(Section):
    """Which of several nodes is taken: the weights of the parts of a node's score (0 to 10)."""

    score_packing: float = Field(default=2.0, ge=0, le=1000)
    """Weight of nodes where most of the GPUs, EFA or Neuron devices that the pod asks for are in
    use, so that whole nodes stay free."""
    score_waste: float = Field(default=2.0, ge=0, le=1000)
    """Weight of nodes without free GPUs, EFA or Neuron devices that the pod does not ask for."""
    score_distance: float = Field(default=4.0, ge=0, le=1000)
    """Weight of nodes near the rest of the pod's gang in the network topology."""
    score_node_weight: float = Field(default=1.0, ge=0, le=1000)
    """Weight of nodes with a low Weight in Slurm."""
    score_tier: float = Field(default=1.0, ge=0, le=1000)
    """Weight of nodes in a partition with a high PriorityTier."""
    block_sizes: dict[str, tuple[int, ...]] = Field(default={})
    """BlockSizes of each of Slurm's block topologies, by the topology's name; blocks are ordered by
    the natural order of their names. Topologies that are not named here are trees."""

    @field_validator("block_sizes")
    @classmethod
    def _are_block_sizes(cls, value: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for name, sizes in value.items():
            _check_block_sizes(name, sizes)
        return value


class Defaults(Section):
    """Defaults for pods that do not set a value."""

    memory: str = Field(default="1Gi", pattern=_QUANTITY)
    """Memory of a pod that asks for none, if the partition has no DefMem* either; a Kubernetes
    quantity."""
    exclusive: bool = False
    """true gives every pod a whole node, as the Go bridge does, unless its annotation `exclusive`
    says otherwise."""


class GangSettings(Section):
    """Pods that start together, as one Slurm job."""

    ride_along_waste: float = Field(default=0.1, ge=0, le=1)
    """If a gang has pods of several shapes, the small pods ride along in the tasks of the main
    shape while at most this fraction of any resource is wasted."""
    maximum_waste: float = Field(default=0.1, ge=0, le=1)
    """Otherwise every task is as large as the largest pod while at most this fraction of any
    resource is wasted; otherwise the shapes become components of a het job."""
    max_pods: int = Field(default=10_000, ge=1, le=1_000_000)
    """Maximum number of pods in one gang; a larger gang is not queued, and its pods say so."""
    members_timeout_s: float = Field(default=600.0, gt=0)
    """If a gang holds its nodes and its members are not all there after this time, in seconds (a
    quota, or an admission webhook that refuses them), the gang gives its nodes back."""
    do_not_disrupt: Literal["gangs", "all", "none"] = "gangs"
    """Which pods get, together with their node, the annotations that keep autoscalers from removing
    the node while they run (`karpenter.sh/do-not-disrupt`, and `safe-to-evict` of the Cluster
    Autoscaler): those of gangs of several pods, all, or none. A gang loses the work of all its pods
    with one; for a single pod its author knows best. What the author wrote stays."""


class PriorityClassSettings(Section):
    """What a PriorityClass of Kubernetes means in Slurm; annotations of the pods, their owners and
    their namespace win over it."""

    partition: str = ""
    """Partition; "" means the setting `partition`."""
    qos: str = ""
    """QOS; "" means Slurm's default."""
    nice: int = Field(default=0, ge=-2147483645, le=2147483645)
    """Subtracted from the priority that Slurm computes; a negative value raises the priority, which
    Slurm allows operators."""


class IdentitySettings(Section):
    """Who the pods' jobs are in Slurm, in addition to the annotations of their namespaces."""

    required: bool = False
    """true refuses pods if neither their namespace names a Slurm user nor, with `podsChooseUser`,
    the pods do; with false their jobs run as the token's user."""
    pods_choose_user: bool = False
    """true lets the annotations `user-id` and `group-id` of pods and their owners name any user,
    as the Go bridge does; with false they may only repeat what the namespace says."""
    pods_set_priority: bool = False
    """true lets the annotation `priority` of pods and their owners set a job's priority, as the Go
    bridge does; false refuses it, because Slurm allows it to operators only. With true, whoever may
    create pods can put their jobs before all others."""
    associations_interval_s: float = Field(default=120.0, ge=0)
    """Maximum age, in seconds, of the users' accounts and QOS as read from slurmdbd. Admission uses
    them to refuse pods whose jobs Slurm would refuse; 0 never reads slurmdbd."""


class Settings(Section):
    """All settings."""

    scheduler_name: str = Field(default=names.SCHEDULER_NAME, min_length=1)
    """`spec.schedulerName` of the pods that the bridge schedules, and the value of the taint on
    managed nodes."""
    slurm_rest_api: UrlOrNone = ""
    """URL of slurmrestd, the Go bridge's key: used if `slurm.endpoints` is not set."""
    managed_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods go through Slurm, except pods that name another scheduler, pods of
    DaemonSets and static pods. A pod of any namespace that names our scheduler goes through Slurm
    too."""
    managed_namespace_selector: dict[str, object] | None = None
    """A Kubernetes label selector for managed namespaces (`matchLabels`, `matchExpressions`); if it
    is set, `managedNamespaces` is ignored. `{}` selects every namespace."""
    mcs_label: str = ""
    """MCS label of the placeholder jobs: it keeps native jobs off the nodes of pods, and lets gangs
    share these nodes (see `nodes.hybridSharing`). "" sends none."""
    partition: str = "slurm-bridge"
    """Partition of a job if neither pods, namespace nor PriorityClass name one; "" means Slurm's
    default partition."""
    slurm: SlurmSettings = SlurmSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    server: ServerSettings = ServerSettings()
    leader: LeaderSettings = LeaderSettings()
    rpc: RpcSettings = RpcSettings()
    api: ApiSettings = ApiSettings()
    nodes: NodeSettings = NodeSettings()
    placement: PlacementSettings = PlacementSettings()
    gangs: GangSettings = GangSettings()
    workloads: WorkloadSettings = WorkloadSettings()
    capacity: CapacitySettings = CapacitySettings()
    defaults: Defaults = Defaults()
    resource_map: dict[str, str] = Field(
        default={
            "nvidia.com/gpu": "gpu",
            "nvidia.com/mig-*": "gpu:*",
            "amd.com/gpu": "gpu",
            "aws.amazon.com/neuron": "neuron",
            "aws.amazon.com/neuroncore": "neuroncore",
            "vpc.amazonaws.com/efa": "efa",
            "google.com/tpu": "tpu",
            "habana.ai/gaudi": "gaudi",
        }
    )
    """Kubernetes extended resource → Slurm GRES, `name` or `name:type`; a `*` at the key's end
    stands for the rest, also in the value. A value in the file replaces the whole default.
    Resources that are not named, or whose name is not among Slurm's GresTypes, are counted by the
    bridge alone: jobs leave out the nodes that have none of them left."""
    priority_classes: dict[str, PriorityClassSettings] = Field(default={})
    """Name of a Kubernetes PriorityClass → what it means in Slurm. Classes that are not named have
    no effect in Slurm."""
    identity: IdentitySettings = IdentitySettings()
    condition_interval_s: float = Field(default=10.0, gt=0)
    """Minimum time between two writes of a waiting pod's `Allocated` condition, in seconds."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = (
        "info"
    )
    """Lowest severity that is logged. Libraries log from warning on; with debug, from info on."""
    log_format: Annotated[Literal["json", "console"], BeforeValidator(lower)] = "json"
    """`json` logs one JSON object per line, `console` text for a terminal."""

    @property
    def slurm_endpoints(self) -> tuple[str, ...]:
        """The URLs of slurmrestd, whichever key names them; () if no key does."""
        return self.slurm.endpoints or tuple(filter(None, [self.slurm_rest_api]))

    @field_validator("resource_map")
    @classmethod
    def _are_gres(cls, value: dict[str, str]) -> dict[str, str]:
        for resource, gres in value.items():
            _check_gres(resource, gres)
        return value

    @field_validator("managed_namespace_selector")
    @classmethod
    def _is_label_selector(cls, value: dict[str, object] | None) -> dict[str, object] | None:
        for part, content in (value or {}).items():
            if content is None:  # to Kubernetes it is every namespace: nobody means that by it
                raise ValueError(f"{part} is empty; fill it in, or write {{}} for every namespace")
        try:
            label_selectors.parse(value or {})
        except BadInput as error:
            raise ValueError(str(error)) from None
        return value


def _check_gres(resource: str, gres: str) -> None:
    if "*" in resource[:-1]:
        raise ValueError(f"{resource}: a * stands at the end, for the rest of the name")
    form = r"[a-z][a-z0-9_]*(:[A-Za-z0-9_.\-*]+)?"
    if not re.fullmatch(form, gres) or gres.count("*") > resource.count("*"):
        raise ValueError(
            f"{resource}: {gres!r} is no GRES; write name or name:type, with * only for what the "
            "key's * stands for"
        )


def _check_block_sizes(name: str, sizes: tuple[int, ...]) -> None:
    """Slurm's rule: each size is the first one times a power of two, and larger than the last."""
    if not sizes or sizes[0] < 1:
        raise ValueError(f"{name} needs at least the size of a base block, such as [18, 72]")
    for smaller, size in pairwise(sizes):
        times, rest = divmod(size, sizes[0])
        if size <= smaller or rest or times & (times - 1):
            raise ValueError(
                f"{name}: {size} is not a larger power of two times the base block's {sizes[0]}"
            )
