"""The scenario of what a tenant may not create, and what he may though it looks wrong.

Long texts are written as `{x*N}`, so that the recording stays short.
"""

from typing import Any

from tests.recording.kube.scenarios import Story, app, job, pod
from tests.recording.kube.story import MERGE

Json = Any

_MIRROR = "kubernetes.io/config.mirror"
_NO_UID = "00000000-0000-4000-8000-000000000000"


def _owner(**fields: Json) -> Json:
    known = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": _NO_UID, **fields}
    return {key: part for key, part in known.items() if part is not None}


def _named(**fields: Json) -> Json:
    return pod("b", meta=fields)


def _mirror(**spec: Json) -> Json:
    return pod("m", meta={"annotations": {_MIRROR: "x"}}, **spec)


def _labelled(manifest: Json, **metadata: Json) -> Json:
    manifest["spec"]["template"].setdefault("metadata", {}).update(metadata)
    return manifest


def refusals() -> Story:
    """Mirrors, owner references, names, labels, annotations, finalizers, priorities and sizes."""
    s = Story("refusals", refusals.__doc__ or "")
    _mirrors(s)
    _owners(s)
    _forms(s)
    _jobs(s)
    _sizes(s)
    return s


def _mirrors(s: Story) -> None:
    """Who creates them is not asked: this is an admin, and no node."""
    s.create("a mirror without a node", _mirror())
    s.create("a mirror with an account", _mirror(nodeName="n1", serviceAccountName="default"))
    secret = [{"name": "s", "secret": {"secretName": "s"}}]
    s.create("a mirror with a secret", _mirror(nodeName="n1", volumes=secret))
    s.create("a mirror", _mirror(nodeName="n1"))
    s.patch("another mirror", "m", {"metadata": {"annotations": {_MIRROR: "y"}}})
    s.patch("a mirror no more", "m", {"metadata": {"annotations": {_MIRROR: None}}})
    s.patch("by status", "m/status", {"metadata": {"annotations": {_MIRROR: "y"}}})
    s.create("no mirror", pod("plain", nodeName="n1"))
    s.patch("a mirror after all", "plain", {"metadata": {"annotations": {_MIRROR: "x"}}})
    s.patch("by its status", "plain/status", {"metadata": {"annotations": {_MIRROR: "x"}}})
    marked = _labelled(job("mirrors"), annotations={_MIRROR: "x"})
    s.do("a template of mirrors", "POST", s.jobs, marked)


def _owners(s: Story) -> None:
    for name, owners in (
        ("no version", [_owner(apiVersion=None)]),
        ("too many slashes", [_owner(apiVersion="a/b/c")]),
        ("nothing", [_owner(apiVersion=None, kind=None, name=None, uid=None)]),
        ("an event", [_owner(apiVersion="v1", kind="Event")]),
        ("two controllers", [_owner(controller=True), _owner(name="k", controller=True)]),
    ):
        s.create(f"owned by {name}", _named(ownerReferences=owners))
    s.create("controller as a text", _named(ownerReferences=[_owner(controller="yes")]))
    unserved = {"apiVersion": "nobody.example/v9", "kind": "Serves This"}
    for name, owner in (
        ("an unserved kind", _owner(**unserved)),
        ("a bad name", _owner(**unserved, name="no name at all!")),
        ("a bad uid", _owner(**unserved, uid="not a uid")),
        ("an event of another group", _owner(**{**unserved, "kind": "Event"})),
    ):
        made = {"generateName": "owned-", "name": "", "ownerReferences": [owner]}
        s.create(f"owned by {name}", pod("", meta=made))


def _forms(s: Story) -> None:
    for name, fields in (
        ("a long name", {"name": "{x*254}"}),
        ("a name with a line break", {"name": "x\n"}),
        ("a bad prefix", {"name": "", "generateName": "AB-"}),
        ("a long label", {"labels": {"a": "{x*64}"}}),
        ("a label with a line break", {"labels": {"a": "x\n"}}),
        ("a label's empty domain", {"labels": {"/a": ""}}),
        ("an annotation without a name", {"annotations": {"a/": ""}}),
        ("annotations too long", {"annotations": {"a": "{x*262144}"}}),
        ("a finalizer without a domain", {"finalizers": ["mine"]}),
        ("a finalizer of too many", {"finalizers": ["a/b/c"]}),
        ("two that exclude each other", {"finalizers": ["orphan", "foregroundDeletion"]}),
    ):
        s.create(name, _named(**fields))
    s.create("a long prefix", pod("", meta={"name": "", "generateName": "{x*57}-{x*100}"}))
    s.create("a long host name", pod("b", hostname="{x*64}"))
    s.create("a dotted host name", pod("b", hostname="a.b"))
    s.create("a bad subdomain", pod("b", subdomain="A"))
    s.create("a priority", pod("b", priority=7))
    s.create("a preemption policy", pod("b", preemptionPolicy="Never"))
    s.create("the priority it has", pod("prior", priority=0))
    s.patch("a finalizer later", "prior", {"metadata": {"finalizers": ["mine"]}}, kind=MERGE)


def _jobs(s: Story) -> None:
    def refused(name: str, body: Json) -> None:
        s.do(name, "POST", s.jobs, body)

    indexed: Json = {"completionMode": "Indexed", "parallelism": 1}
    refused("a Job's long name", job("{x*64}"))
    refused("an Indexed Job's long name", job("{x*62}", completions=11, **indexed))
    refused("an Indexed Job's dotted name", job("a.b", completions=1, **indexed))
    many = {"parallelism": 100_001, "completions": 100_001}
    refused("too many at once", job("many", completionMode="Indexed", **many))
    refused("another's uid", _labelled(job("a"), labels={"controller-uid": _NO_UID}))
    named = {"batch.kubernetes.io/job-name": "other"}
    refused("another's name", _labelled(job("a"), labels=named))
    refused("another's selector", job("a", selector={"matchLabels": {"app": "x"}}))
    refused("a selector of its own without one", job("a", manualSelector=True))
    other = {"matchLabels": {"app": "other"}}
    refused("a selector of others", job("a", manualSelector=True, selector=other))
    cron: Json = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "{x*53}"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job("x")["spec"]}},
    }
    crons = f"/apis/batch/v1/namespaces/{s.namespace}/cronjobs"
    s.do("a CronJob's long name", "POST", crons, cron)
    sets = f"/apis/apps/v1/namespaces/{s.namespace}"
    s.do("a StatefulSet's dotted name", "POST", f"{sets}/statefulsets", app("StatefulSet", "a.b"))
    marked = _labelled(app("DaemonSet", "a"), annotations={_MIRROR: "x"})
    s.do("daemons that are mirrors", "POST", f"{sets}/daemonsets", marked)


def _sizes(s: Story) -> None:
    def told(size: int) -> Json:
        container = {"name": "main", "image": "busybox:1", "args": [f"{{x*{size}}}"]}
        return pod("big", containers=[container])

    s.create("what etcd has no room for", told(1_700_000))
    s.create("more than a request", told(3_200_000))


ALL = (refusals,)
