"""PersistentVolumeClaim, PersistentVolume and StorageClass: their defaults."""

from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules.base import Rules


class ClaimRules(Rules):
    """core/v1 PersistentVolumeClaim."""

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {"phase": "Pending"}


class VolumeRules(Rules):
    """core/v1 PersistentVolume."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("volumeMode", "Filesystem")
        spec.setdefault("persistentVolumeReclaimPolicy", "Retain")

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {"phase": "Pending"}


class StorageClassRules(Rules):
    """storage.k8s.io/v1 StorageClass."""

    def default(self, obj: Object) -> None:
        obj.setdefault("reclaimPolicy", "Delete")
        obj.setdefault("volumeBindingMode", "Immediate")
