"""The settings: one frozen tree, read once at the start, handed to whoever needs a part of it.

Keys are camelCase in the file, as in the Go bridge's file, whose keys are accepted as they are.
"""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bridge import names


class Section(BaseModel):
    """A part of the tree: frozen, unknown keys refused, camelCase outside."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class SlurmSettings(Section):
    """How to reach and use Slurm."""

    endpoints: tuple[str, ...] = ()
    """URLs of slurmrestd; tried in order. `slurmRestApi` is the Go bridge's name for one."""
    token_file: str = ""
    """File with the JWT; re-read when it changes. The environment's SLURM_JWT_FILE too."""
    user: str = ""
    """Name sent with the token (X-SLURM-USER-NAME); "" sends none."""
    request_timeout_s: float = Field(default=10.0, gt=0)
    poll_interval_s: float = Field(default=0.5, ge=0.02)
    """Longest time between two looks at the jobs' states while something is expected."""
    poll_quick_s: float = Field(default=0.05, ge=0.01)
    """Time to the first look after a submit or a change of our own."""
    detail_gets_per_s: float = Field(default=20.0, gt=0)
    """Budget of the reads that follow what changes without a state change (reason, start)."""


class KubernetesSettings(Section):
    """How to reach the API server."""

    kubeconfig: str = ""
    context: str = ""
    qps: float = Field(default=200.0, gt=0)
    burst: int = Field(default=400, gt=0)


class ServerSettings(Section):
    """Our HTTPS server: webhook and extender; and the plain one for probes and metrics."""

    listen: str = "[::]:9443"
    """host:port of HTTPS; [::] takes IPv4 too."""
    metrics_listen: str = "[::]:8080"
    """host:port of /livez, /readyz, /metrics (plain HTTP)."""
    certificate_dir: str = ""
    """Folder with tls.crt, tls.key (and ca.crt); re-read when changed. "" : made by ourselves."""
    client_ca_file: str = ""
    """CA whose client certificates may call the extender; "" : anyone who reaches the port."""


class NodeSettings(Section):
    """How Kubernetes nodes become Slurm nodes."""

    address: str = ""
    """NodeAddr of external nodes (the sink's); "" means each node's InternalIP."""
    topology: str = ""
    """Name of Slurm's topology and its root switch, `name:root`, under which the nodes' switches
    are made from the network-node-layer labels; "" leaves nodes without a path."""
    cpu_headroom_milli: int = Field(default=0, ge=0)
    memory_headroom_mib: int = Field(default=0, ge=0)
    gpu_type_label: str = "nvidia.com/gpu.product"
    """Node label whose value becomes the GPU's type in Slurm."""
    class_ignore_keys: tuple[str, ...] = (
        names.HOSTNAME_LABEL,
        "topology.k8s.aws/instance-id",
        "eks.amazonaws.com/instance-id",
        "alpha.eksctl.io/instance-id",
        "csi.volume.kubernetes.io/nodeid",
        "node.kubernetes.io/instance-id",
        "topology.ebs.csi.aws.com/zone-id",
    )
    """Labels that are different on each node: they never make a node class."""


class Defaults(Section):
    """What pods get that do not say it."""

    memory: str = "1Gi"
    """Memory of a pod that asks for none, where the partition has no DefMem* either."""
    exclusive: bool = False
    """True gives every pod a whole node, as the Go bridge does."""


class Settings(Section):
    """The whole tree."""

    scheduler_name: str = names.SCHEDULER_NAME
    slurm_rest_api: str = ""
    """The Go bridge's key: one endpoint."""
    managed_namespaces: tuple[str, ...] = ()
    managed_namespace_selector: dict[str, object] | None = None
    """A Kubernetes label selector; when set, `managedNamespaces` is ignored."""
    mcs_label: str = ""
    partition: str = "slurm-bridge"
    slurm: SlurmSettings = SlurmSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    server: ServerSettings = ServerSettings()
    nodes: NodeSettings = NodeSettings()
    defaults: Defaults = Defaults()
    resource_map: dict[str, str] = {
        "nvidia.com/gpu": "gpu",
        "amd.com/gpu": "gpu",
        "vpc.amazonaws.com/efa": "efa",
    }
    """Kubernetes extended resource → Slurm GRES name. Others are held by the bridge alone."""
    condition_interval_s: float = Field(default=10.0, gt=0)
    """At most one write of a pod's `Allocated` condition in this time while it waits."""
    log_level: str = "info"
    log_format: str = "json"
