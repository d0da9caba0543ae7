"""The scenarios. Namespaces are made by whoever plays them: `rec-<scenario>` each.

Pods name a scheduler that doesn't run and are bound to nodes that don't exist, so that nothing
but the API server acts on them.
"""

from typing import Any

from tests.recording.kube.story import MERGE, PATCH, STRATEGIC, Step

Json = Any

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
OURS = {"name": "scheduler.slinky.slurm.net/allocation"}
OTHERS = {"name": "example.com/quota"}
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/wonders.rec.example.com"
"""What `others` defines and `custom` uses."""
_NO_UID = "00000000-0000-4000-8000-000000000000"


def pod(name: str, *, meta: Json = None, **spec: Json) -> Json:
    """A pod that nothing but the API server touches."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **(meta or {})},
        "spec": {
            "schedulerName": "nobody",
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": "busybox:1"}],
            **spec,
        },
    }


def resources(**amounts: Json) -> Json:
    """One container with these resources."""
    return [{"name": "main", "image": "busybox:1", "resources": amounts}]


def terms(*alternatives: Json) -> Json:
    """Required node affinity of these terms."""
    return {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": list(alternatives)}}}


def on_label(*values: str) -> Json:
    """`zone In [values]`."""
    return {"key": "zone", "operator": "In", "values": list(values)}


def named(*names: str) -> Json:
    """`metadata.name In [names]`."""
    return {"key": "metadata.name", "operator": "In", "values": list(names)}


class Story:
    """Collects the steps of one scenario, with paths of its namespace."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = about
        self.namespace = f"rec-{name}"
        self.steps: list[Step] = []
        self.pods = f"/api/v1/namespaces/{self.namespace}/pods"
        self.jobs = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def do(
        self,
        name: str,
        method: str,
        path: str,
        body: Json = None,
        *,
        kind: str = "application/json",
        keep: str = "",
    ) -> None:
        """Any request."""
        self.steps.append(Step(name, method, path, body, kind, keep))

    def create(self, name: str, body: Json, *, keep: str = "") -> None:
        """POST a pod."""
        self.do(name, "POST", self.pods, body, keep=keep)

    def patch(
        self, name: str, which: str, body: Json, *, kind: str = MERGE, keep: str = ""
    ) -> None:
        """PATCH a pod (or its subresource)."""
        self.do(name, "PATCH", f"{self.pods}/{which}", body, kind=kind, keep=keep)

    def bind(self, name: str, which: str, node: str, **metadata: Json) -> None:
        """POST a Binding."""
        self.do(name, "POST", f"{self.pods}/{which}/binding", binding(which, node, **metadata))


def binding(which: str, node: str, **metadata: Json) -> Json:
    """A Binding object."""
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": which, **metadata},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }


def gates() -> Story:
    """Gates only go, affinity only tightens, and only while gated."""
    s = Story("gates", gates.__doc__ or "")
    both = [OURS, OTHERS]
    pin = terms({"matchFields": [named("n1")]})
    s.create("a gated pod", pod("a", schedulingGates=both), keep="a")
    s.bind("bind it", "a", "n1")
    s.patch("add a gate", "a", {"spec": {"schedulingGates": [*both, {"name": "example.com/x"}]}})
    s.patch("replace a gate", "a", {"spec": {"schedulingGates": [{"name": "example.com/x"}]}})
    s.patch("set nodeName while gated", "a", {"spec": {"nodeName": "n1"}})
    s.patch("pin and take our gate", "a", {"spec": {"schedulingGates": [OTHERS], "affinity": pin}})
    s.patch("pin elsewhere", "a", {"spec": {"affinity": terms({"matchFields": [named("n2")]})}})
    s.patch("null takes all gates", "a", {"spec": {"schedulingGates": None}})
    s.patch("gate it again", "a", {"spec": {"schedulingGates": [OURS]}})
    s.patch("pin after the last gate", "a", {"spec": {"affinity": None}})
    s.patch("selector after the last gate", "a", {"spec": {"nodeSelector": {"zone": "b"}}})
    s.patch("set nodeName when free", "a", {"spec": {"nodeName": "n1"}})
    s.create("one patch for all", pod("one", schedulingGates=[OURS]), keep="one")
    s.patch(
        "pin, label and ungate at once",
        "one",
        {
            "metadata": {
                "uid": "{one.uid}",
                "resourceVersion": "{one.rv}",
                "labels": {"scheduler.slinky.slurm.net/slurm-jobid": "7"},
                "annotations": {"slinky.slurm.net/slurm-node": "n1"},
            },
            "spec": {"schedulingGates": [], "affinity": pin},
        },
    )
    s.create("strategic", pod("s", schedulingGates=both))
    s.patch(
        "take one gate by name",
        "s",
        {"spec": {"schedulingGates": [{"$patch": "delete", **OURS}]}},
        kind=STRATEGIC,
    )
    s.patch(
        "strategic list adds nothing",
        "s",
        {"spec": {"schedulingGates": [OTHERS]}},
        kind=STRATEGIC,
    )
    s.create("json patch", pod("j", schedulingGates=both))
    s.patch(
        "take the first",
        "j",
        [
            {"op": "test", "path": "/spec/schedulingGates/0/name", "value": OURS["name"]},
            {"op": "remove", "path": "/spec/schedulingGates/0"},
        ],
        kind=PATCH,
    )
    s.patch(
        "a test that fails",
        "j",
        [{"op": "test", "path": "/spec/schedulingGates/0/name", "value": "x"}],
        kind=PATCH,
    )
    s.patch(
        "a path that is not there",
        "j",
        [{"op": "remove", "path": "/spec/schedulingGates/7"}],
        kind=PATCH,
    )
    s.create("twice the same gate", pod("d", schedulingGates=[OURS, OURS]))
    s.create("a gate without a good name", pod("d", schedulingGates=[{"name": "not/a/name"}]))
    s.create("gate and nodeName", pod("d", schedulingGates=[OURS], nodeName="n1"))
    s.create("empty list of gates", pod("e", schedulingGates=[]))
    return s


def affinity() -> Story:
    """What tightening is, for gated pods that have affinity of their own."""
    s = Story("affinity", affinity.__doc__ or "")
    own = terms({"matchExpressions": [on_label("a", "b")]})
    gate = {"schedulingGates": [OURS]}
    s.create("with affinity", pod("a", affinity=own, **gate))
    both = {"matchExpressions": [on_label("a", "b")], "matchFields": [named("n1")]}
    s.patch("another term", "a", {"spec": {"affinity": terms(both, both)}})
    s.patch("no term", "a", {"spec": {"affinity": None}})
    s.patch(
        "another value", "a", {"spec": {"affinity": terms({"matchExpressions": [on_label("a")]})}}
    )
    front = {"matchExpressions": [on_label("c"), on_label("a", "b")]}
    s.patch("an expression before", "a", {"spec": {"affinity": terms(front)}})
    after = {"matchExpressions": [on_label("a", "b"), on_label("c")]}
    s.patch("an expression after", "a", {"spec": {"affinity": terms(after)}})
    s.patch("a field beside", "a", {"spec": {"affinity": terms({**after, **_fields("n1")})}})
    s.patch("another field", "a", {"spec": {"affinity": terms({**after, **_fields("n2")})}})
    s.create("two terms, one empty", pod("b", affinity=terms({}, _one("zone", "a")), **gate))
    s.patch(
        "fill the empty term",
        "b",
        {"spec": {"affinity": terms(_fields("n1"), {**_one("zone", "a"), **_fields("n1")})}},
    )
    s.patch(
        "leave the empty term",
        "b",
        {"spec": {"affinity": terms({}, {**_one("zone", "a"), **_fields("n1")})}},
    )
    preferred = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": _one("zone", "a")}
            ]
        }
    }
    s.create("preferred only", pod("p", affinity=preferred, **gate))
    s.patch("required where none was", "p", {"spec": {"affinity": terms(_fields("n1"))}})
    s.create("none", pod("n", **gate))
    apart = {
        "podAntiAffinity": {
            _REQUIRED: [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            ]
        }
    }
    s.patch("pod anti-affinity while gated", "n", {"spec": {"affinity": apart}})
    s.patch("both kinds", "n", {"spec": {"affinity": {**apart, **terms(_fields("n1"))}}})
    s.patch("two names", "n", {"spec": {"affinity": terms({"matchFields": [named("a", "b")]})}})
    s.patch(
        "another field than the name",
        "n",
        {
            "spec": {
                "affinity": terms(
                    {"matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}
                )
            }
        },
    )
    s.patch(
        "a field that exists",
        "n",
        {
            "spec": {
                "affinity": terms({"matchFields": [{"key": "metadata.name", "operator": "Exists"}]})
            }
        },
    )
    s.patch("no terms at all", "n", {"spec": {"affinity": terms()}})
    s.create("with a selector", pod("q", nodeSelector={"zone": "a"}, **gate))
    s.patch("add to the selector", "q", {"spec": {"nodeSelector": {"rack": "1"}}})
    s.patch("change the selector", "q", {"spec": {"nodeSelector": {"zone": "b"}}})
    s.patch("take from the selector", "q", {"spec": {"nodeSelector": {"zone": None}}})
    s.create("anti-affinity of its own", pod("r", affinity=apart, **gate))
    s.patch("pin beside it", "r", {"spec": {"affinity": terms(_fields("n1"))}})
    s.patch("pin and drop it", "r", {"spec": {"affinity": {"podAntiAffinity": None}}})
    return s


def _one(key: str, value: str) -> Json:
    return {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}


def _fields(name: str) -> Json:
    return {"matchFields": [named(name)]}


def frozen() -> Story:
    """What can be changed on any pod, and what on none."""
    s = Story("frozen", frozen.__doc__ or "")
    tolerates = [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}]
    s.create("a pod", pod("a", tolerations=tolerates, activeDeadlineSeconds=100), keep="a")
    seconds = {"key": "b", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    have = [
        *tolerates,
        *(
            {
                "key": f"node.kubernetes.io/{what}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for what in ("not-ready", "unreachable")
        ),
    ]
    s.patch("add a toleration", "a", {"spec": {"tolerations": [*have, seconds]}})
    more = {**seconds, "tolerationSeconds": 6}
    s.patch("change its seconds", "a", {"spec": {"tolerations": [*have, more]}})
    s.patch("take it", "a", {"spec": {"tolerations": have}})
    s.patch("change the image", "a", {"spec": {"containers": [_main("busybox:2")]}}, kind=STRATEGIC)
    s.patch("no image", "a", {"spec": {"containers": [_main("")]}}, kind=STRATEGIC)
    s.patch("a second container", "a", {"spec": {"containers": [_extra()]}}, kind=STRATEGIC)
    limits = {"name": "main", "resources": {"limits": {"cpu": "1"}}}
    s.patch("resources", "a", {"spec": {"containers": [limits]}}, kind=STRATEGIC)
    s.patch("a shorter deadline", "a", {"spec": {"activeDeadlineSeconds": 50}})
    s.patch("a longer deadline", "a", {"spec": {"activeDeadlineSeconds": 70}})
    s.patch("no deadline", "a", {"spec": {"activeDeadlineSeconds": None}})
    s.patch("another scheduler", "a", {"spec": {"schedulerName": "default-scheduler"}})
    s.patch("a priority class", "a", {"spec": {"priorityClassName": "system-node-critical"}})
    s.patch("another grace", "a", {"spec": {"terminationGracePeriodSeconds": 1}})
    s.patch("nothing", "a", {})
    s.patch("a label", "a", {"metadata": {"labels": {"x": "y"}}})
    s.patch("the same label", "a", {"metadata": {"labels": {"x": "y"}}})
    s.patch("take the label", "a", {"metadata": {"labels": {"x": None}}})
    s.patch("status beside", "a", {"status": {"phase": "Running"}})
    s.patch(
        "mirror annotation",
        "a",
        {"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}},
    )
    return s


def _main(image: str) -> Json:
    return {"name": "main", "image": image}


def _extra() -> Json:
    return {"name": "extra", "image": "busybox:1"}


def identity() -> Story:
    """uid and resourceVersion as preconditions of PATCH and PUT."""
    s = Story("identity", identity.__doc__ or "")
    s.create("a pod", pod("a"), keep="a")
    s.patch("wrong uid", "a", {"metadata": {"uid": _NO_UID, "labels": {"x": "1"}}})
    s.patch("right uid", "a", {"metadata": {"uid": "{a.uid}", "labels": {"x": "1"}}}, keep="b")
    s.patch("old version", "a", {"metadata": {"resourceVersion": "{a.rv}", "labels": {"x": "2"}}})
    s.patch("this version", "a", {"metadata": {"resourceVersion": "{b.rv}", "labels": {"x": "2"}}})
    s.patch(
        "status with wrong uid",
        "a/status",
        {"metadata": {"uid": _NO_UID}, "status": {"message": "x"}},
    )
    s.patch(
        "status with old version",
        "a/status",
        {"metadata": {"resourceVersion": "{a.rv}"}, "status": {"message": "x"}},
    )
    s.patch("another name", "a", {"metadata": {"name": "b"}})
    s.patch("another namespace", "a", {"metadata": {"namespace": "default"}})
    s.patch("creation time", "a", {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}})
    s.patch("deletion time", "a", {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}})
    s.patch("generation", "a", {"metadata": {"generation": 9}})
    s.patch("not there", "nobody", {"metadata": {"labels": {"x": "2"}}})
    s.do("not there, get", "GET", f"{s.pods}/nobody")
    s.do("no such subresource", "GET", f"{s.pods}/a/wonders")
    s.do("no such resource", "GET", f"/api/v1/namespaces/{s.namespace}/wonders")
    s.do("no such group", "GET", "/apis/example.invalid/v1/wonders")
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{s.namespace}/leases"
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15},
    }
    s.do("a lease", "POST", lease, body, keep="l")
    again = {**body, "metadata": {"name": "l", "resourceVersion": "{l.rv}"}}
    s.do("renew it", "PUT", f"{lease}/l", {**again, "spec": {"holderIdentity": "you"}}, keep="m")
    s.do("renew the old one", "PUT", f"{lease}/l", again)
    s.do("without a version", "PUT", f"{lease}/l", body)
    wrong = {"name": "l", "uid": _NO_UID}
    s.do("another uid", "PUT", f"{lease}/l", {**body, "metadata": wrong})
    s.do("another name in the body", "PUT", f"{lease}/l", {**body, "metadata": {"name": "x"}})
    s.do("put what is not there", "PUT", f"{lease}/x", {**body, "metadata": {"name": "x"}})
    s.do(
        "no duration",
        "PUT",
        f"{lease}/l",
        {**body, "spec": {"holderIdentity": "me", "leaseDurationSeconds": 0}},
    )
    return s


def creation() -> Story:
    """What a new object must and may be."""
    s = Story("creation", creation.__doc__ or "")
    s.create("defaults", pod("a", meta={"labels": {"x": "y"}}))
    s.create("it is there", pod("a"))
    s.create("generated name", pod("", meta={"generateName": "gen-", "name": ""}))
    s.create("no name", pod("", meta={"name": ""}))
    s.create("a bad name", pod("A_b"))
    s.create("another namespace", pod("b", meta={"namespace": "default"}))
    s.create("a version", pod("b", meta={"resourceVersion": "7"}))
    s.create("a uid of its own", pod("c", meta={"uid": _NO_UID, "generation": 7}))
    s.create("a label that is a number", pod("b", meta={"labels": {"x": 1}}))
    s.create("an annotation that is a boolean", pod("b", meta={"annotations": {"x": True}}))
    s.create("a bad label", pod("b", meta={"labels": {"x": "not ok"}}))
    s.create("a bad label key", pod("b", meta={"labels": {"a/b/c": "x"}}))
    s.create("another kind", {**pod("b"), "kind": "Node"})
    s.create("another version", {**pod("b"), "apiVersion": "v2"})
    s.create("not an object", [])
    s.create("no containers", pod("b", containers=[]))
    s.create("no image", pod("b", containers=[{"name": "main"}]))
    s.create("no container name", pod("b", containers=[{"image": "x"}]))
    s.create("twice the container", pod("b", containers=[_main("x"), _main("x")]))
    s.create("a bad quantity", pod("b", containers=resources(limits={"cpu": "1 core"})))
    s.create("a negative quantity", pod("b", containers=resources(limits={"cpu": "-1"})))
    s.create(
        "more than the limit",
        pod("b", containers=resources(limits={"cpu": "1"}, requests={"cpu": "2"})),
    )
    s.create("a request of GPUs", pod("b", containers=resources(requests={"nvidia.com/gpu": "1"})))
    s.create(
        "fewer GPUs than the limit",
        pod(
            "b",
            containers=resources(limits={"nvidia.com/gpu": "2"}, requests={"nvidia.com/gpu": "1"}),
        ),
    )
    s.create("half a GPU", pod("b", containers=resources(limits={"nvidia.com/gpu": "0.5"})))
    s.create("an unknown resource", pod("b", containers=resources(limits={"gpu": "1"})))
    s.create(
        "amounts in many forms",
        pod(
            "amounts",
            containers=resources(
                limits={
                    "cpu": 1.5,
                    "memory": "1024Mi",
                    "ephemeral-storage": "1e3",
                    "nvidia.com/gpu": 8,
                },
                requests={"cpu": "1000m", "memory": "0.5Gi"},
            ),
        ),
    )
    s.create(
        "a guaranteed pod",
        pod("guaranteed", containers=resources(limits={"cpu": "100m", "memory": "1M"})),
    )
    s.create("bad restart policy", pod("b", restartPolicy="Sometimes"))
    s.create("bad node name", pod("b", nodeName="A b"))
    s.create("bound from the start", pod("bound", nodeName="n1"))
    s.create("a bad deadline", pod("b", activeDeadlineSeconds=0))
    s.create("bad selector", pod("b", nodeSelector={"zone": "not ok"}))
    s.create("tolerates nothing", pod("b", tolerations=[{"operator": "Equal"}]))
    s.create(
        "seconds without NoExecute",
        pod("b", tolerations=[{"key": "a", "operator": "Exists", "tolerationSeconds": 1}]),
    )
    s.create(
        "exists with a value",
        pod("b", tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]),
    )
    s.create("an unknown effect", pod("b", tolerations=[{"key": "a", "effect": "NoWay"}]))
    s.create("an unknown operator", pod("b", tolerations=[{"key": "a", "operator": "Like"}]))
    s.create("tolerates all", pod("tolerant", tolerations=[{"operator": "Exists"}]))
    s.create("no values", pod("b", affinity=terms(_expression("In"))))
    s.create("values too many", pod("b", affinity=terms(_expression("Exists", "x"))))
    s.create("two bounds", pod("b", affinity=terms(_expression("Gt", "1", "2"))))
    s.create("unknown operator", pod("b", affinity=terms(_expression("Like", "1"))))
    s.create("unknown priority class", pod("b", priorityClassName="nothing"))
    s.do("no such namespace", "POST", "/api/v1/namespaces/rec-nowhere/pods", pod("b"))
    s.do("no such namespace, list", "GET", "/api/v1/namespaces/rec-nowhere/pods")
    s.create("a wrong type", pod("b", schedulerName=7))
    for path, value in (
        ("spec", "x"),
        ("metadata", "x"),
        ("metadata.labels", ["x"]),
        ("metadata.annotations", "x"),
        ("metadata.finalizers", "x"),
        ("metadata.ownerReferences", {}),
        ("metadata.name", 7),
        ("spec.containers", {}),
        ("spec.containers", ["x"]),
        ("spec.containers", [{"name": 7}]),
        ("spec.containers", [{"resources": "x"}]),
        ("spec.containers", [{"resources": {"limits": "x"}}]),
        ("spec.containers", [{"resources": {"limits": {"cpu": []}}}]),
        ("spec.containers", [{"ports": {}}]),
        ("spec.schedulingGates", "x"),
        ("spec.schedulingGates", ["x"]),
        ("spec.schedulingGates", [{"name": 7}]),
        ("spec.tolerations", {}),
        ("spec.nodeSelector", "x"),
        ("spec.nodeSelector", {"a": 7}),
        ("spec.affinity", "x"),
        ("spec.affinity", {"nodeAffinity": []}),
        ("spec.affinity", {"nodeAffinity": {_REQUIRED: []}}),
        ("spec.affinity", {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": {}}}}),
        ("spec.activeDeadlineSeconds", "x"),
        ("spec.activeDeadlineSeconds", 1.5),
        ("spec.terminationGracePeriodSeconds", "30"),
        ("spec.priorityClassName", 7),
    ):
        s.create(f"{path} as {value!r}", _with(pod("shape"), path, value))
    s.do("dry run", "POST", f"{s.pods}?dryRun=All", pod("dry"))
    s.do("is not there", "GET", f"{s.pods}/dry")
    s.create(
        "several mistakes", pod("b", restartPolicy="Sometimes", tolerations=[{"operator": "Equal"}])
    )
    return s


def _with(body: Json, path: str, value: Json) -> Json:
    """`body` with another value at `path`."""
    head, _, rest = path.partition(".")
    return {**body, head: _with(body[head], rest, value) if rest else value}


def _expression(operator: str, *values: str) -> Json:
    entry: Json = {"key": "a", "operator": operator}
    if values:
        entry["values"] = list(values)
    return {"matchExpressions": [entry]}


def bindings() -> Story:
    """Binding, and what stands in its way."""
    s = Story("binding", bindings.__doc__ or "")
    s.create("a pod", pod("a"), keep="a")
    s.bind("wrong uid", "a", "n1", uid=_NO_UID)
    s.bind("old version", "a", "n1", resourceVersion="1")
    s.do("no target", "POST", f"{s.pods}/a/binding", binding("a", ""))
    target = {"kind": "Pod", "name": "n1"}
    s.do("no node", "POST", f"{s.pods}/a/binding", {**binding("a", "n1"), "target": target})
    s.do("another name", "POST", f"{s.pods}/a/binding", binding("b", "n1"))
    s.bind("not there", "nobody", "n1")
    s.bind("bind", "a", "n1", uid="{a.uid}", annotations={"x": "y"})
    s.do("bound", "GET", f"{s.pods}/a")
    s.bind("again", "a", "n1")
    s.bind("elsewhere", "a", "n2")
    s.create("held", pod("h", meta={"finalizers": ["example.com/hold"]}))
    s.do("delete it", "DELETE", f"{s.pods}/h")
    s.bind("bind what goes", "h", "n1")
    s.patch("let it go", "h", {"metadata": {"finalizers": None}})
    s.create("nominated", pod("m"))
    nominate = {"status": {"nominatedNodeName": "n1"}}
    s.patch("nominate", "m/status", nominate)
    s.bind("bind the nominated", "m", "n1")
    s.do("no nomination is left", "GET", f"{s.pods}/m")
    s.patch("nominate when bound", "m/status", nominate)
    return s


def deletion() -> Story:
    """Grace, finalizers, preconditions."""
    s = Story("deletion", deletion.__doc__ or "")
    s.create("unbound", pod("a"))
    s.do("goes at once", "DELETE", f"{s.pods}/a")
    s.do("is gone", "GET", f"{s.pods}/a")
    s.do("delete what is gone", "DELETE", f"{s.pods}/a")
    s.create("bound", pod("b", nodeName="n1"), keep="b")
    wrong = {"preconditions": {"uid": _NO_UID}}
    s.do("another uid", "DELETE", f"{s.pods}/b", wrong)
    s.do("another version", "DELETE", f"{s.pods}/b", {"preconditions": {"resourceVersion": "1"}})
    s.do("dry", "DELETE", f"{s.pods}/b?dryRun=All")
    s.do("still there", "GET", f"{s.pods}/b")
    s.do("with grace", "DELETE", f"{s.pods}/b")
    s.do("longer", "DELETE", f"{s.pods}/b", {"gracePeriodSeconds": 60})
    s.do("once more", "DELETE", f"{s.pods}/b")
    s.do("shorter", "DELETE", f"{s.pods}/b", {"gracePeriodSeconds": 20})
    s.patch("add a finalizer", "b", {"metadata": {"finalizers": ["example.com/late"]}})
    s.patch("a label still", "b", {"metadata": {"labels": {"x": "y"}}})
    s.do("now", "DELETE", f"{s.pods}/b?gracePeriodSeconds=0")
    s.do("now gone", "GET", f"{s.pods}/b")
    s.create("bound, short grace", pod("c", nodeName="n1", terminationGracePeriodSeconds=5))
    s.do("its own grace", "DELETE", f"{s.pods}/c", {"preconditions": {"uid": "{b.uid}"}})
    s.do("its own grace indeed", "DELETE", f"{s.pods}/c")
    s.do("and out", "DELETE", f"{s.pods}/c", {"gracePeriodSeconds": 0})
    s.create("ended", pod("e", nodeName="n1"))
    s.patch("it ended", "e/status", {"status": {"phase": "Succeeded"}})
    s.do("ended goes at once", "DELETE", f"{s.pods}/e")
    s.create("held", pod("h", nodeName="n1", meta={"finalizers": ["example.com/hold"]}))
    s.do("held stays", "DELETE", f"{s.pods}/h")
    s.do("held stays, forced", "DELETE", f"{s.pods}/h", {"gracePeriodSeconds": 0})
    s.do("held again", "DELETE", f"{s.pods}/h")
    s.patch("let go", "h", {"metadata": {"finalizers": []}})
    s.do("went", "GET", f"{s.pods}/h")
    s.create("held, bound", pod("k", nodeName="n1", meta={"finalizers": ["example.com/hold"]}))
    s.do("grace runs", "DELETE", f"{s.pods}/k")
    s.patch("let go too early", "k", {"metadata": {"finalizers": None}})
    s.do("grace still runs", "GET", f"{s.pods}/k")
    s.do("grace ends", "DELETE", f"{s.pods}/k", {"gracePeriodSeconds": 0})
    s.create("one of many", pod("m1", meta={"labels": {"of": "many"}}))
    s.create("two of many", pod("m2", meta={"labels": {"of": "many"}}))
    s.do("all of them", "DELETE", f"{s.pods}?labelSelector=of%3Dmany")
    s.do("none is left", "GET", f"{s.pods}?labelSelector=of%3Dmany")
    s.create("evicted", pod("v", nodeName="n1"))
    evict = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "v"},
        "deleteOptions": {"gracePeriodSeconds": 3},
    }
    s.do("evict", "POST", f"{s.pods}/v/eviction", evict)
    s.do("disrupted", "GET", f"{s.pods}/v")
    s.do("evicted is out", "DELETE", f"{s.pods}/v", {"gracePeriodSeconds": 0})
    return s


def status() -> Story:
    """The status subresource."""
    s = Story("status", status.__doc__ or "")
    condition = {"type": "scheduler.slinky.slurm.net/Allocated", "status": "False"}
    waits = {**condition, "reason": "Priority", "message": "3rd in the queue"}
    s.create("gated", pod("a", schedulingGates=[OURS]), keep="a")
    s.patch("strategic", "a/status", {"status": {"conditions": [waits]}}, kind=STRATEGIC)
    same = {**condition, "reason": "Resources"}
    s.patch("strategic again", "a/status", {"status": {"conditions": [same]}}, kind=STRATEGIC)
    s.patch("merge replaces", "a/status", {"status": {"conditions": [waits]}})
    s.patch(
        "spec through status",
        "a/status",
        {"spec": {"schedulingGates": []}, "status": {"message": "m"}},
    )
    s.patch(
        "labels through status",
        "a/status",
        {"metadata": {"labels": {"l": "1"}, "annotations": {"a": "1"}}},
    )
    s.patch(
        "owner through status",
        "a/status",
        {
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": _NO_UID}
                ]
            }
        },
    )
    s.patch(
        "strategic delete",
        "a/status",
        {"status": {"conditions": [{"$patch": "delete", "type": condition["type"]}]}},
        kind=STRATEGIC,
    )
    s.patch(
        "no such type name",
        "a/status",
        {"status": {"conditions": [{"type": "not/a/name", "status": "True"}]}},
    )
    s.patch("another class", "a/status", {"status": {"qosClass": "Guaranteed"}})
    s.patch("a phase", "a/status", {"status": {"phase": "Running"}})
    s.do("read it", "GET", f"{s.pods}/a/status")
    return s


def job(name: str, *, meta: Json = None, template: Json = None, **spec: Json) -> Json:
    """A suspended Job: the Job controller leaves it nearly alone."""
    inner = pod("x", **{"restartPolicy": "Never", **(template or {})})["spec"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, **(meta or {})},
        "spec": {
            "suspend": True,
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": inner},
            **spec,
        },
    }


def jobs() -> Story:
    """Jobs: defaults, what is refused, what may change, how they are deleted."""
    s = Story("jobs", jobs.__doc__ or "")

    def create(name: str, body: Json) -> None:
        s.do(name, "POST", s.jobs, body)

    def patch(name: str, which: str, body: Json, kind: str = MERGE) -> None:
        s.do(name, "PATCH", f"{s.jobs}/{which}", body, kind=kind)

    create("defaults", job("a"))
    create("parallel", job("p", parallelism=3))
    create("with completions", job("c", completions=3))
    create("indexed", job("i", completions=3, parallelism=3, completionMode="Indexed"))
    create("indexed, how many?", job("x", completionMode="Indexed"))
    create("a mode of its own", job("x", completionMode="Random"))
    create("restarts always", job("x", template={"restartPolicy": "Always"}))
    create("negative", job("x", parallelism=-1))
    create("no containers", job("x", template={"containers": []}))
    create("bad affinity", job("x", template={"affinity": terms()}))
    for field, value in (
        ("parallelism", "3"),
        ("completions", [3]),
        ("template", "x"),
        ("completionMode", 7),
        ("suspend", "yes"),
    ):
        body = job("shape")
        body["spec"][field] = value
        create(f"{field} as {value!r}", body)
    patch("more at once", "c", {"spec": {"parallelism": 2}})
    patch("more in all", "c", {"spec": {"completions": 4}})
    patch("elastic", "i", {"spec": {"completions": 4, "parallelism": 4}})
    patch("not elastic", "i", {"spec": {"completions": 5}})
    patch("another mode", "c", {"spec": {"completionMode": "Indexed"}})
    inner = {"template": {"spec": {"nodeSelector": {"zone": "a"}}}}
    patch("selector while suspended", "c", {"spec": inner})
    patch("image while suspended", "c", _container_patch(image="busybox:2"), STRATEGIC)
    patch("another back-off", "c", {"spec": {"backoffLimit": 1}})
    s.do("delete, nothing said", "DELETE", f"{s.jobs}/a")
    s.do("in the background", "DELETE", f"{s.jobs}/c", {"propagationPolicy": "Background"})
    s.do("in the foreground", "DELETE", f"{s.jobs}/p?propagationPolicy=Foreground")
    return s


def _container_patch(**fields: Json) -> Json:
    return {"spec": {"template": {"spec": {"containers": [{"name": "main", **fields}]}}}}


def lists() -> Story:
    """Selectors, pages, versions, watches."""
    s = Story("lists", lists.__doc__ or "")
    s.create("one", pod("p1", meta={"labels": {"app": "a", "n": "1"}}), keep="first")
    s.create("two", pod("p2", meta={"labels": {"app": "a"}}, nodeName="n1"))
    s.create("three", pod("p3", meta={"labels": {"app": "b"}}))
    for text in (
        "app=a",
        "app==a",
        "app!=a",
        "app in (a,b)",
        "app notin (a)",
        "n",
        "!n",
        "app=a,!n",
        "app in",
        "a b",
    ):
        s.do(f"labels {text}", "GET", f"{s.pods}?labelSelector={_quote(text)}")
    for text in (
        "metadata.name=p1",
        "metadata.name!=p1",
        "spec.nodeName=n1",
        "spec.nodeName=",
        "spec.nodeName!=",
        "spec.schedulerName=nobody",
        "status.phase!=Running,spec.schedulerName=nobody",
        "status.phase=Pending,spec.nodeName=n1",
        "spec.wonder=1",
        "nonsense",
    ):
        s.do(f"fields {text}", "GET", f"{s.pods}?fieldSelector={_quote(text)}")
    s.do("first page", "GET", f"{s.pods}?limit=2")
    s.do("second page", "GET", f"{s.pods}?limit=2&continue={{continue}}")
    s.do("a version that is to come", "GET", f"{s.pods}?resourceVersion=999999999")
    s.do("no version", "GET", f"{s.pods}?resourceVersion=abc")
    s.patch("change a label", "p1", {"metadata": {"labels": {"app": "b"}}})
    s.patch("and back", "p1", {"metadata": {"labels": {"app": "a"}}})
    s.do("delete", "DELETE", f"{s.pods}/p3")
    watch = f"{s.pods}?watch=1&timeoutSeconds=1"
    s.do("what happened", "GET", f"{watch}&resourceVersion={{first.rv}}")
    selected = f"{watch}&labelSelector=app%3Da&resourceVersion={{first.rv}}"
    s.do("what happened to a", "GET", selected)
    s.do("what is there", "GET", f"{watch}&resourceVersion=0")
    initial = "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    s.do("what is there, with an end", "GET", watch + initial)
    nothing = f"?watch=1&timeoutSeconds=1{initial}&labelSelector=nobody%3Dx"
    for path in (
        "/api/v1/nodes",
        "/api/v1/namespaces",
        "/api/v1/events",
        "/apis/batch/v1/jobs",
        "/apis/coordination.k8s.io/v1/leases",
    ):
        s.do(f"the end of {path}", "GET", path + nothing)
    return s


def _quote(text: str) -> str:
    return "".join(one if one.isalnum() or one in "._" else f"%{ord(one):02X}" for one in text)


def nodes() -> Story:
    """Nodes: cluster-wide, status on create, strategic patches of lists."""
    s = Story("nodes", nodes.__doc__ or "")
    path = "/api/v1/nodes"
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "rec-node"},
        "status": {
            "capacity": {"cpu": "4", "nvidia.com/gpu": "8"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        },
    }
    s.do("a node", "POST", path, node)
    one = f"{path}/rec-node"
    taint = {"key": "a", "value": "b", "effect": "NoExecute"}
    s.do("a label", "PATCH", one, {"metadata": {"labels": {"a": "b"}}}, kind=STRATEGIC)
    s.do("status beside", "PATCH", one, {"status": {"capacity": {"cpu": "5"}}}, kind=STRATEGIC)
    capacity = {"status": {"capacity": {"cpu": "5"}}}
    s.do("status", "PATCH", f"{one}/status", capacity, kind=STRATEGIC)
    address = {"status": {"addresses": [{"type": "Hostname", "address": "x"}]}}
    s.do("an address", "PATCH", f"{one}/status", address, kind=STRATEGIC)
    twice = {"spec": {"taints": [taint, taint]}}
    s.do("twice the taint", "PATCH", one, twice, kind=MERGE)
    s.do("no effect", "PATCH", one, {"spec": {"taints": [{"key": "a"}]}}, kind=MERGE)
    s.do("a media type", "PATCH", one, {}, kind="application/json")
    s.do("delete", "DELETE", one)
    s.do("gone", "GET", one)
    return s


def others() -> Story:
    """Events in both APIs, webhook configurations, custom resources."""
    s = Story("others", others.__doc__ or "")
    about = {"kind": "Pod", "namespace": s.namespace, "name": "x", "uid": _NO_UID}
    core = f"/api/v1/namespaces/{s.namespace}/events"
    new = f"/apis/events.k8s.io/v1/namespaces/{s.namespace}/events"
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e1"},
        "regarding": about,
        "type": "Normal",
        "reason": "Placed",
        "action": "Placing",
        "note": "on n1",
        "reportingController": "slurm-bridge",
        "reportingInstance": "slurm-bridge-1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    s.do("a new event", "POST", new, event)
    s.do("read the old way", "GET", f"{core}/e1")
    old = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e2"},
        "involvedObject": about,
        "type": "Warning",
        "reason": "Odd",
        "message": "m",
        "source": {"component": "c"},
        "count": 1,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    s.do("an old event", "POST", core, old)
    s.do("read the new way", "GET", f"{new}/e2")
    s.do("by what it is about", "GET", f"{core}?fieldSelector=involvedObject.name%3Dx,reason%3DOdd")
    hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    hook = {
        "name": "a.rec.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/x"},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "namespaceSelector": {"matchLabels": {"nobody": "at-all"}},
        "rules": [
            {
                "operations": ["CREATE"],
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods"],
            }
        ],
    }
    config = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "rec-hook"},
        "webhooks": [hook],
    }
    s.do("a webhook", "POST", hooks, config)
    s.do("a short name", "POST", hooks, {**config, "webhooks": [{**hook, "name": "a"}]})
    s.do("out with it", "DELETE", f"{hooks}/rec-hook")
    crds = DEFINITION.rpartition("/")[0]
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    s.do(
        "a definition",
        "POST",
        crds,
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "wonders.rec.example.com"},
            "spec": {
                "group": "rec.example.com",
                "scope": "Namespaced",
                "names": {"plural": "wonders", "kind": "Wonder", "singular": "wonder"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": open_schema},
                        "subresources": {"status": {}},
                    }
                ],
            },
        },
    )
    return s


def custom() -> Story:
    """Custom resources (the definition is there): status is apart, no strategic patch."""
    s = Story("custom", custom.__doc__ or "")
    path = f"/apis/rec.example.com/v1/namespaces/{s.namespace}/wonders"
    wonder = {
        "apiVersion": "rec.example.com/v1",
        "kind": "Wonder",
        "metadata": {"name": "w"},
        "spec": {"size": 1},
        "status": {"seen": True},
    }
    s.do("create", "POST", path, wonder)
    s.do("spec", "PATCH", f"{path}/w", {"spec": {"size": 2}, "status": {"x": 1}}, kind=MERGE)
    both = {"metadata": {"labels": {"l": "1"}}, "spec": {"size": 3}, "status": {"seen": False}}
    s.do("status", "PATCH", f"{path}/w/status", both, kind=MERGE)
    s.do("strategic", "PATCH", f"{path}/w", {"spec": {"size": 2}}, kind=STRATEGIC)
    s.do("list", "GET", path)
    s.do("delete", "DELETE", f"{path}/w")
    s.do("no such wonder", "GET", f"{path}/w")
    return s


def app(kind: str, name: str, **spec: Json) -> Json:
    """An object of apps/v1 that finds its pods by the label `app`."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "busybox:1"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def apps() -> Story:
    """The kinds that make pods by a template, and CronJob: defaults and what is refused.

    Of what their controllers do nothing shows: they are asked for no pods, and only their creation
    is looked at.
    """
    s = Story("apps", apps.__doc__ or "")
    root = f"/apis/apps/v1/namespaces/{s.namespace}"
    for kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        path = f"{root}/{kind.lower()}s"
        s.do(f"{kind}", "POST", path, app(kind, "a", replicas=0))
        s.do(f"{kind} by default", "POST", f"{path}?dryRun=All", app(kind, "b"))
        other = {"matchLabels": {"app": "other"}}
        s.do(f"{kind} of others", "POST", path, app(kind, "c", replicas=0, selector=other))
        s.do(f"{kind} of nobody", "POST", path, app(kind, "d", replicas=0, selector=None))
    nowhere = app("DaemonSet", "a")
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"nobody": "has"}
    s.do("DaemonSet", "POST", f"{root}/daemonsets", nowhere)
    cron: Json = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "a"},
        "spec": {
            "schedule": "* * * * *",
            "suspend": True,
            "jobTemplate": {"spec": job("x")["spec"]},
        },
    }
    crons = f"/apis/batch/v1/namespaces/{s.namespace}/cronjobs"
    s.do("CronJob", "POST", crons, cron)
    s.do("CronJob never", "POST", crons, {**cron, "spec": {**cron["spec"], "schedule": ""}})
    return s


def groups() -> Story:
    """Workload and PodGroup of scheduling.k8s.io, which versions that group has, a pod of one."""
    s = Story("groups", groups.__doc__ or "")
    root = f"/apis/scheduling.k8s.io/v1alpha2/namespaces/{s.namespace}"
    head = {"apiVersion": "scheduling.k8s.io/v1alpha2"}
    gang: Json = {"gang": {"minCount": 3}}
    workload = {
        **head,
        "kind": "Workload",
        "metadata": {"name": "w"},
        "spec": {"podGroupTemplates": [{"name": "workers", "schedulingPolicy": gang}]},
    }
    s.do("a workload", "POST", f"{root}/workloads", workload)
    of = {"workload": {"workloadName": "w", "podGroupTemplateName": "workers"}}
    specs: dict[str, Json] = {
        "a": {"schedulingPolicy": gang},
        "b": {"schedulingPolicy": gang, "podGroupTemplateRef": of},
        "c": {"schedulingPolicy": {"basic": {}}},
    }
    for name, spec in specs.items():
        group = {**head, "kind": "PodGroup", "metadata": {"name": name}, "spec": spec}
        s.do(f"group {name}", "POST", f"{root}/podgroups", group)
    member = pod("p", schedulingGroup={"podGroupName": "a"})
    s.do("a member", "POST", s.pods, member)
    other = {"spec": {"schedulingGroup": {"podGroupName": "b"}}}
    s.do("of another group", "PATCH", f"{s.pods}/p", other, kind=MERGE)
    s.do("end", "DELETE", f"{s.pods}/p?gracePeriodSeconds=0")
    s.do("the group's versions", "GET", "/apis/scheduling.k8s.io")
    return s


ALL = (
    gates,
    affinity,
    frozen,
    identity,
    creation,
    bindings,
    deletion,
    status,
    jobs,
    lists,
    nodes,
    others,
    custom,
    apps,
    groups,
)
