"""The rules that the API server applies by itself, in CEL: when to call us, and what to refuse.

An expression that fails refuses the request (failurePolicy is Fail), whoever sent it. So each one
asks with `has` before it reads a field, and needs nothing but what Kubernetes 1.28 knows.
"""

from bridge import names
from bridge.admission import scope


def literal(text: str) -> str:
    """A text as CEL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def literals(texts: tuple[str, ...]) -> str:
    """A list of texts."""
    return f"[{', '.join(map(literal, texts))}]"


def names_us(scheduler_name: str) -> str:
    """The pod names our scheduler."""
    return (
        f"has(object.spec.schedulerName) &&\nobject.spec.schedulerName == {literal(scheduler_name)}"
    )


def belongs_to_its_node() -> str:
    """`scope.belongs_to_its_node`: who creates the pod tells what belongs to its node."""
    return (
        f"(request.userInfo.username in {literals(scope.DAEMON_CONTROLLERS)} &&\n"
        "   has(object.metadata.ownerReferences) &&\n"
        "   object.metadata.ownerReferences.exists(owner,\n"
        "    owner.kind == 'DaemonSet' && has(owner.controller) && owner.controller)) ||\n"
        "  (has(request.userInfo.groups) &&\n"
        f"   {literal(scope.NODES_GROUP)} in request.userInfo.groups &&\n"
        "   has(object.spec.nodeName) &&\n"
        f"   request.userInfo.username == {literal(scope.NODE_USER)} + object.spec.nodeName &&\n"
        "   has(object.metadata.annotations) &&\n"
        f"   {literal(names.MIRROR_POD_ANNOTATION)} in object.metadata.annotations)"
    )


def tolerates(spec: str, scheduler_name: str) -> str:
    """`managed_nodes.tolerates`, of the pod spec at this path."""
    return (
        f"has({spec}.tolerations) && {spec}.tolerations.exists(one,\n"
        f" (!has(one.key) || one.key in ['', {literal(names.MANAGED_NODE_TAINT)}]) &&\n"
        " (!has(one.effect) || one.effect in ['', 'NoExecute']) &&\n"
        " ((has(one.operator) && !(one.operator in ['', 'Equal'])) ||\n"
        f"  (has(one.value) && one.value == {literal(scheduler_name)})))"
    )


def newly_tolerates(spec: str, scheduler_name: str) -> tuple[tuple[str, str], ...]:
    """Conditions (name, CEL), all of which hold where this request makes an object tolerate the
    taint; `spec` is the path of its pod spec below `object`."""
    return (
        ("tolerates-managed-nodes", tolerates(f"object.{spec}", scheduler_name)),
        (
            "did-not-before",
            "request.operation == 'CREATE' ||\n"
            f"!({tolerates(f'oldObject.{spec}', scheduler_name)})",
        ),
    )


def has_no_node() -> str:
    """Nobody has chosen the pod's node."""
    return "!has(object.spec.nodeName) || object.spec.nodeName == ''"
