"""Pods as their controllers see them: how far they have got, and how they are made (pure)."""

from typing import Final

from bridge.sim.kube.apiserver.objects import Object, condition_is_true, copy

_TERMINAL: Final = ("Succeeded", "Failed")
_LONGEST_NAME: Final = 253


def is_active(pod: Object) -> bool:
    """Whether a pod counts (also while it waits): neither over nor being deleted."""
    over = pod["status"].get("phase") in _TERMINAL
    return not over and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether it is up."""
    return is_active(pod) and condition_is_true(pod, "Ready")


def progress(pod: Object) -> tuple[bool, bool, str]:
    """For sorting, least far first: unbound, not ready, youngest. Of too many the first go."""
    created = pod["metadata"]["creationTimestamp"]
    inverted = "".join(chr(0x7F - ord(char)) for char in created)
    return bool(pod["spec"].get("nodeName")), is_ready(pod), inverted


def from_template(owner: Object) -> Object:
    """A pod of the owner's template; its name is to be generated from the owner's.

    Of the template's metadata it gets labels, annotations and finalizers: a name, a namespace or
    owners that stand there are left out.
    """
    template = copy(owner["spec"]["template"])
    known = template.get("metadata") or {}
    metadata = {
        name: known[name] for name in ("labels", "annotations", "finalizers") if known.get(name)
    }
    name = owner["metadata"]["name"]
    metadata["generateName"] = f"{name}-" if len(name) < _LONGEST_NAME else name
    return {"metadata": metadata, "spec": template["spec"]}
