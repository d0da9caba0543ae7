"""What a story gets: both sides, the bridge between them, and nodes made to order."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from bridge import names
from tests.arena import api, manifests
from tests.arena.api import Kubernetes, Object, Slurm, state, wait_for
from tests.arena.bridge import Bridge
from tests.arena.gate import Gate
from tests.arena.observer import Observer, Report
from tests.arena.processes import Processes
from tests.e2e.stack.slurmds import Slurmd

BRIDGE_USER = "slurm-bridge"
"""Who the bridge is for the API server: not the stories' admin."""
NAMESPACE = "team"
"""Managed: the webhook gates its pods."""
TENANT = "mallory"
"""An ordinary user, with rights in his namespace only: see `Arena.tenant`."""
SINK_ADDRESS = "127.0.0.1"
"""NodeAddr of all nodes in a story that has a sink."""
PLAIN_NAMESPACE = "elsewhere"
"""Not managed: its pods are ours only when they name our scheduler."""


@dataclass(frozen=True)
class Nodes:
    """Nodes of a story: `count` of them, `per_leaf` to a leaf switch."""

    count: int = 4
    gpus: int = 8
    cpus: int = 96
    memory_gib: int = 1024
    per_leaf: int = 8
    seed: int = 0
    prefix: str = "gpu"
    zones: tuple[str, ...] = ("us-west-2a",)
    """As many nodes in each."""
    external: bool = True
    """Whether the bridge is to register them."""


_TOLD_OF_A_JOB = (
    "name", "state_reason", "nodes", "features", "excluded_nodes", "het_job_id",
)  # fmt: skip


_FOR_CONTROLLERS = frozenset({"nodes", "gangs", "capacity", "conditionIntervalS"})
"""Settings that neither extenders nor webhooks read."""

_MOST_LINES = 30
"""Of each kind, that a failed wait tells."""


class Arena(ABC):
    """One stack, shared by the stories of a session; a story cleans up behind itself."""

    kind: str
    kubernetes: Kubernetes
    slurm: Slurm
    bridge: Bridge
    api_port: int
    """Where people ask the bridge."""

    def __init__(self) -> None:
        self.observer: Observer | None = None
        self.is_split = False
        """Whether bridges that are made are several processes."""
        self._wishes: Mapping[str, Any] | None = None
        """What the last story's bridge was set to; None when there is none to go on with."""

    # -- what differs between the stacks -----------------------------------------------------------

    @abstractmethod
    def close(self) -> None:
        """End what was started for the session."""

    @abstractmethod
    def add_nodes(self, nodes: Nodes) -> list[str]:
        """Create Kubernetes nodes; their names, in no order of the fabric."""

    @abstractmethod
    def make_bridge(self, folder: Path, **settings: Any) -> Bridge:
        """A bridge for this stack, with its settings, not started; as several processes where
        `is_split`."""

    @abstractmethod
    def register_webhooks(self, scheduler_name: str) -> None:
        """Have the API server call the bridge; "" is the usual name."""

    @abstractmethod
    def start_scheduler(self) -> None:
        """The kube-scheduler with our profile, calling the bridge's extender."""

    @abstractmethod
    def stop_scheduler(self) -> None:
        """Take that kube-scheduler away; `start_scheduler` brings it back."""

    @abstractmethod
    def stop_slurm(self) -> None:
        """Take slurmrestd away."""

    @abstractmethod
    def start_slurm(self) -> None:
        """Bring it back."""

    @abstractmethod
    def add_partition(self, name: str) -> None:
        """One more partition of the stories' nodes; it stays."""

    @abstractmethod
    def start_sink(self) -> None:
        """A slurmd at SINK_ADDRESS, which answers for all external nodes with that address."""

    @abstractmethod
    def stop_sink(self) -> None:
        """It is there no more, and Slurm knows it."""

    @abstractmethod
    def set_grace(self, partition: str, seconds: int) -> None:
        """GraceTime: how long a preempted job of the partition keeps its nodes."""

    @abstractmethod
    def suspend(self, job_id: int) -> None:
        """scontrol suspend, as an admin."""

    @contextlib.contextmanager
    def grace(self, partition: str, seconds: int) -> Iterator[None]:
        """While the context lasts the partition has that GraceTime."""
        self.set_grace(partition, seconds)
        try:
            yield
        finally:
            self.set_grace(partition, 0)

    @abstractmethod
    def remove_native(self) -> None:
        """Take away the node that runs batch jobs for other tests, if it is there: it has a place
        in Slurm's topology."""

    @abstractmethod
    def expired_token(self) -> str:
        """A token for slurmrestd whose time is over."""

    @abstractmethod
    def token_of(self, account: str, namespace: str = NAMESPACE) -> str:
        """A Kubernetes token of this service account, which is made if need be, without rights."""

    @abstractmethod
    def admin_token(self) -> str:
        """A Kubernetes token of somebody who may do everything."""

    @abstractmethod
    def open_gate(self, folder: Path) -> Gate:
        """A way to the API server for the bridge that can be made to fail; `with` opens it."""

    @abstractmethod
    def with_slurmds(self, nodes: Sequence[Slurmd]) -> contextlib.AbstractContextManager[None]:
        """Nodes of Slurm's own kind, which run native jobs, while the context lasts. Nothing may
        run there at its end."""

    @abstractmethod
    def kill_kubelet(self, node: str) -> None:
        """The node goes silent: no pod starts or ends there, and Kubernetes knows it at once."""

    @abstractmethod
    def revive_kubelet(self, node: str) -> None:
        """The node's kubelet comes back."""

    @abstractmethod
    def loopback_tls(self) -> tuple[Path, Path, Path]:
        """Authority, certificate and key of a server on loopback that the API server may ask."""

    @abstractmethod
    def create_file(self, manifest: Path, namespace: str = NAMESPACE) -> None:
        """kubectl create -f."""

    @abstractmethod
    def restart_kubernetes(self) -> None:
        """Take the API server away for a moment."""

    @contextlib.contextmanager
    def silent(self, node: str) -> Iterator[None]:
        """While the context lasts nobody hears of the node."""
        self.kill_kubelet(node)
        try:
            self.wait_node(node, ready=False)
            yield
        finally:
            self.revive_kubelet(node)
            self.wait_node(node, ready=True)

    def wait_node(self, name: str, *, ready: bool) -> None:
        """Until Kubernetes calls the node ready, or not ready any more."""

        def found() -> bool:
            node = self.kubernetes.get(f"/api/v1/nodes/{name}")
            told = [one for one in node["status"]["conditions"] if one["type"] == "Ready"]
            return bool(told) and (told[0]["status"] == "True") == ready

        wait_for(f"node {name} is {'' if ready else 'not '}ready", found)

    def poison(self, node: str, job_id: int) -> None:
        """Have Slurm lose an external node: it signals a slurmd that is not there."""
        self.slurm.signal(job_id)

    # -- what stories do ---------------------------------------------------------------------------

    def begin(
        self, folder: Path, nodes: Nodes | None, /, *, sink: bool | None = None, **settings: Any
    ) -> list[str]:
        """A bridge that is ready, nodes registered in Slurm, both sides watched.

        With `sink` given the nodes have the address of a sink; if it is True, the sink runs.
        """
        if sink:
            self.start_sink()
        if sink is not None:
            settings["nodes"] = {"address": SINK_ADDRESS, **settings.get("nodes", {})}
        for namespace in (NAMESPACE, PLAIN_NAMESPACE):
            if self.kubernetes.find(f"/api/v1/namespaces/{namespace}") is None:
                self.kubernetes.create(manifests.namespace(namespace))
        self.register_webhooks(settings.get("schedulerName", ""))
        self._take_bridge(folder, settings)
        self.start_scheduler()
        made = self.add_nodes(nodes) if nodes else []
        self.wait_registered(made)
        self.observer = Observer(self.kubernetes, self.slurm)
        self.observer.start()
        return made

    def finish(self) -> Report:
        """Everything away, nothing left in Slurm; what the observer saw all along."""
        observer, self.observer = self.observer, None
        try:
            try:
                assert observer is not None, "the story did not begin"
                return observer.stop()
            finally:
                self.start_slurm()
                self.start_scheduler()
                self.clear()
                self.stop_sink()
        except BaseException:
            self._wishes = None
            self.bridge.end()
            raise

    def end_bridge(self) -> None:
        """As an admin does it: SIGTERM, and it has to leave well."""
        if self._wishes is None:
            return
        self._wishes = None
        code = self.bridge.stop()
        assert code == 0, f"the bridge ended with {code}:\n{self.bridge.log()[-3000:]}"

    def _take_bridge(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """The one that runs goes on from story to story, as it would in a cluster, unless this
        one wants other settings (or the last one went wrong)."""
        wishes = {**settings, "is split": self.is_split}
        if self._wishes == wishes and self.bridge.running:
            self.bridge.wait_ready()
            self.bridge.forget_log()
            return
        last = self._other_controllers_needed(wishes)
        if last is None:
            self.end_bridge()
        self._wishes = None
        self.bridge = self.make_bridge(folder, **settings)
        if last is None:
            self.bridge.start()
        else:
            assert isinstance(self.bridge, Processes)
            self.bridge.take_over(last)
        self._wishes = wishes

    def _other_controllers_needed(self, wishes: Mapping[str, Any]) -> Processes | None:
        """The processes that run, if only their controllers have to have other settings."""
        if self._wishes is None or not isinstance(self.bridge, Processes):
            return None
        goes_on = self.bridge.running and _other_keys(self._wishes, wishes) <= _FOR_CONTROLLERS
        return self.bridge if goes_on else None

    def clear(self) -> None:
        """Remove what the story made; Slurm must be empty afterwards, by the bridge's doing."""
        for namespace in (NAMESPACE, PLAIN_NAMESPACE):
            for kind in ("batch/v1/namespaces/{}/jobs", "apps/v1/namespaces/{}/statefulsets"):
                base = f"/apis/{kind.format(namespace)}"
                for one in self.kubernetes.get(base)["items"]:
                    self.kubernetes.delete(f"{base}/{one['metadata']['name']}")
            for pod in self.kubernetes.pods(namespace):
                self.delete_pod(pod["metadata"]["name"], namespace)
        if not self.bridge.running:
            self.bridge.start()
        wait_for("no pod is left", lambda: not self._pods_left(), seconds=40)
        self._clear_volumes()
        wait_for("no job is left in Slurm", lambda: not self.slurm.live_jobs(), seconds=20)
        for node in self.kubernetes.get("/api/v1/nodes")["items"]:
            self.kubernetes.delete(f"/api/v1/nodes/{node['metadata']['name']}")
        wait_for("no node is left in Slurm", lambda: not self.slurm.nodes(), seconds=20)

    def _clear_volumes(self) -> None:
        claims = [f"/api/v1/namespaces/{one}/persistentvolumeclaims" for one in
                  (NAMESPACE, PLAIN_NAMESPACE)]  # fmt: skip
        of_all = ["/api/v1/persistentvolumes", "/apis/storage.k8s.io/v1/storageclasses"]
        for path in (*claims, *of_all):
            for one in self.kubernetes.get(path)["items"]:
                self.kubernetes.delete(f"{path}/{one['metadata']['name']}")

    def _pods_left(self) -> list[Object]:
        return [*self.kubernetes.pods(NAMESPACE), *self.kubernetes.pods(PLAIN_NAMESPACE)]

    def wait_registered(self, wanted: list[str]) -> None:
        """Until Slurm knows the external nodes and Kubernetes keeps other pods off them."""
        wait_for(
            f"{len(wanted)} nodes are registered",
            lambda: set(wanted) <= self.slurm.nodes().keys(),
            seconds=40,
        )
        self.wait_tainted(wanted)

    def wait_tainted(self, wanted: list[str]) -> None:
        """Until Kubernetes keeps other pods off the nodes."""

        def tainted() -> bool:
            nodes = self.kubernetes.get("/api/v1/nodes")["items"]
            found = {
                node["metadata"]["name"]
                for node in nodes
                if any(
                    taint["key"] == names.MANAGED_NODE_TAINT
                    for taint in node["spec"].get("taints") or ()
                )
            }
            return set(wanted) <= found

        wait_for(f"{len(wanted)} nodes are tainted", tainted, seconds=40)

    @contextlib.contextmanager
    def tenant(
        self, user: str = TENANT, *, namespace: str = NAMESPACE, role: str = "edit"
    ) -> Iterator[Kubernetes]:
        """The API server as an ordinary user who has this role in one namespace, and no rights
        elsewhere."""
        group = "rbac.authorization.k8s.io"
        name = f"{user}-{role}"
        self.kubernetes.create(
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": namespace},
                "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            }
        )
        try:
            with self.acting_as(user) as client:
                pods = f"/api/v1/namespaces/{namespace}/pods"
                wait_for("his rights are known", lambda: client.http.get(pods).is_success)
                yield client
        finally:
            path = f"/apis/{group}/v1/namespaces/{namespace}/rolebindings"
            self.kubernetes.delete(f"{path}/{name}")

    @contextlib.contextmanager
    def acting_as(self, user: str, *groups: str) -> Iterator[Kubernetes]:
        """The API server as somebody else, with whatever rights he has: a node's kubelet is
        `acting_as("system:node:n1", "system:nodes")`."""
        client = Kubernetes(self.kubernetes.kubeconfig, user=user, groups=groups)
        with contextlib.closing(client):
            yield client

    def create(self, manifest: Object) -> Object:
        """kubectl create."""
        return self.kubernetes.create(manifest)

    def delete_pod(self, name: str, namespace: str = NAMESPACE, *, force: bool = False) -> None:
        """kubectl delete pod; with `force` it is gone at once, whatever its containers do."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if force:
            self.kubernetes.http.request("DELETE", path, json={"gracePeriodSeconds": 0})
        else:
            self.kubernetes.delete(path)

    def delete_file(self, manifest: Path, namespace: str = NAMESPACE) -> None:
        """kubectl delete -f; gone already is fine."""
        for document in reversed(api.documents(manifest, namespace)):
            self.kubernetes.delete(api.path_of(document))

    def delete_job(self, name: str, namespace: str = NAMESPACE) -> None:
        """kubectl delete job."""
        self.kubernetes.delete(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")

    def wait_pod(
        self,
        name: str,
        what: str,
        test: Callable[[Object], Any],
        *,
        namespace: str = NAMESPACE,
        seconds: float = 20.0,
    ) -> Object:
        """Until the pod is there and `test` holds for it; the pod."""

        def found() -> Object | None:
            pod = self.kubernetes.pod(namespace, name)
            return pod if pod is not None and test(pod) else None

        with self._told(namespace):
            pod: Object = wait_for(f"pod {name} {what}", found, seconds=seconds)
        return pod

    def wait_bound(self, name: str, *, namespace: str = NAMESPACE, seconds: float = 20.0) -> Object:
        """Until the pod has a node; the pod."""
        return self.wait_pod(name, "is bound", node_of, namespace=namespace, seconds=seconds)

    def wait_gone(self, name: str, *, namespace: str = NAMESPACE, seconds: float = 20.0) -> None:
        """Until there is no such pod."""
        wait_for(
            f"pod {name} is gone",
            lambda: self.kubernetes.pod(namespace, name) is None,
            seconds=seconds,
        )

    def wait_pods(
        self,
        count: int,
        what: str,
        test: Callable[[Object], Any],
        *,
        namespace: str = NAMESPACE,
        seconds: float = 30.0,
        of_job: str = "",
    ) -> list[Object]:
        """Until `count` pods pass `test`; they."""

        def found() -> list[Object] | None:
            pods = [pod for pod in self.kubernetes.pods(namespace, of_job=of_job) if test(pod)]
            return pods if len(pods) == count else None

        with self._told(namespace):
            pods: list[Object] = wait_for(f"{count} pods {what}", found, seconds=seconds)
        return pods

    @contextlib.contextmanager
    def _told(self, namespace: str) -> Iterator[None]:
        """A wait that fails says how the pods, their events and Slurm's jobs stood then."""
        try:
            yield
        except AssertionError as problem:
            for line in self.story(namespace)[:_MOST_LINES]:
                problem.add_note(line)
            with contextlib.suppress(httpx2.TransportError):  # a story may have taken Slurm away
                for job in self.slurm.live_jobs()[:_MOST_LINES]:
                    told = {key: job.get(key) for key in _TOLD_OF_A_JOB}
                    problem.add_note(f"job {job['job_id']} {state(job)}: {told}")
            raise

    def story(self, namespace: str = NAMESPACE, *, of_job: str = "") -> list[str]:
        """What people can read of a namespace's pods (of a Job) now: a line each, and events."""
        lines = []
        for pod in self.kubernetes.pods(namespace, of_job=of_job):
            said = condition(pod) or {}
            lines.append(
                f"pod {pod['metadata']['name']}: {phase(pod)}"
                f" on {node_of(pod) or 'no node'}{', gated' if gated(pod) else ''}"
                f" {said.get('reason')}: {said.get('message')}"
            )
        for event in self.kubernetes.events(namespace):
            whose = str(event["regarding"].get("name", ""))
            if not of_job or whose == of_job or whose.startswith(f"{of_job}-"):
                lines.append(f"event of {whose} {event['reason']}: {event.get('note')}")
        return lines

    def cordon(self, node: str, cordoned: bool) -> None:
        """kubectl cordon, or uncordon."""
        spec = {"unschedulable": cordoned or None}
        self.kubernetes.patch(f"/api/v1/nodes/{node}", {"spec": spec})

    def job_of(self, pod: Object) -> Object:
        """The Slurm job that a pinned pod names."""
        return self.slurm.job(int(pod["metadata"]["labels"][names.JOB_ID_LABEL]))

    def hold_for(self, seconds: float, holds: Callable[[], Any]) -> None:
        """Look for so long that something stays as it is (the one wait that has to last)."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            assert holds(), "it did not stay so"
            time.sleep(0.1)

    def without_webhooks(self) -> None:
        """As in a cluster where the admin installed none; the next story has them again."""
        for kind in ("mutating", "validating"):
            self.kubernetes.delete(
                f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/slurm-bridge"
            )

    def wait_idle(self, *, seconds: float = 20.0) -> None:
        """Until Slurm has no live job."""
        wait_for("Slurm has no job left", lambda: not self.slurm.live_jobs(), seconds=seconds)


def _other_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def node_of(pod: Object) -> str:
    """The node a pod is bound to, "" while it is not."""
    return str(pod["spec"].get("nodeName") or "")


def phase(pod: Object) -> str:
    """Its phase."""
    return str(pod["status"].get("phase", "Pending"))


def condition(pod: Object, kind: str = names.ALLOCATED_CONDITION) -> Object | None:
    """One condition of a pod."""
    found = [one for one in pod["status"].get("conditions") or () if one["type"] == kind]
    return found[0] if found else None


def gated(pod: Object) -> bool:
    """Whether it waits behind our gate."""
    gates = pod["spec"].get("schedulingGates") or ()
    return any(gate["name"] == names.ALLOCATION_GATE for gate in gates)


__all__ = ["NAMESPACE", "PLAIN_NAMESPACE", "Arena", "Nodes", "api"]
