"""The extender's requests to the API server."""

from bridge.kube.api.client import KubeClient
from bridge.kube.objects import pods as kube_pods
from bridge.model.ids import NodeName, PodUid


class KubeBinder:
    """Binds pods, and tells where a pod is bound."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def bind(self, *, namespace: str, name: str, uid: PodUid, node: NodeName) -> None:
        """POST the Binding."""
        await kube_pods.bind(self._client, namespace=namespace, name=name, uid=uid, node=node)

    async def node_of(self, *, namespace: str, name: str, uid: PodUid) -> NodeName | None:
        """Where the pod is bound, if it is this very pod."""
        raw = await self._client.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        pod = kube_pods.parse(raw)
        return (pod.node_name or None) if pod.uid == uid else None
