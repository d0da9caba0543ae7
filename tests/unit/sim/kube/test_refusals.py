"""What a tenant may not create, and what he may though it looks wrong: as in Kubernetes 1.36."""

from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.store import Store
from bridge.sim.kube.apiserver.webhooks import HttpsWebhooks
from tests.unit.sim.kube.builders import a_job, a_pod
from tests.unit.sim.kube.test_apps import an_app

Json = Any
MIRROR = "kubernetes.io/config.mirror"
MIRROR_FIELD = f"metadata.annotations[{MIRROR}]"


@pytest.fixture
async def api() -> ApiServer:
    """Without a socket and without controllers."""
    store = Store()
    server = ApiServer(clock=SystemClock(), webhooks=HttpsWebhooks(store), store=store)
    await server.create(Target(kinds.NAMESPACES), {"metadata": {"name": "default"}})
    return server


async def create(api: ApiServer, manifest: Object) -> Object:
    kind = api.kinds.of(manifest)
    assert kind is not None
    return (await api.create(Target(kind, "default"), manifest)).object


async def refused(api: ApiServer, manifest: Object) -> set[tuple[str, str]]:
    """(field, message) of each cause of the 422."""
    with pytest.raises(ApiFailure) as no:
        await create(api, manifest)
    assert no.value.code == 422, no.value.message
    return {(one["field"], one["message"]) for one in no.value.status["details"]["causes"]}


def an_owner(**fields: Json) -> Json:
    known = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "0-0-0"}
    return {key: part for key, part in {**known, **fields}.items() if part is not None}


def owned(*owners: Json) -> Json:
    pod = a_pod()
    pod["metadata"]["ownerReferences"] = list(owners)
    return pod


def meta(**fields: Json) -> Json:
    pod = a_pod()
    pod["metadata"].update(fields)
    return pod


def with_template(manifest: Json, **fields: Json) -> Json:
    manifest["spec"]["template"].setdefault("metadata", {}).update(fields)
    return manifest


def with_spec(**fields: Json) -> Json:
    pod = a_pod()
    pod["spec"].update(fields)
    return pod


def a_cron_job(name: str) -> Json:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": a_job()["spec"]}},
    }


async def test_a_mirror_has_a_node(api: ApiServer) -> None:
    """Pods and pod templates that say to be a mirror need spec.nodeName."""
    must = 'Invalid value: "x": must set spec.nodeName if mirror pod annotation is set'
    assert await refused(api, a_pod(annotations={MIRROR: "x"})) == {(MIRROR_FIELD, must)}
    job = with_template(a_job(), annotations={MIRROR: "x"})
    assert await refused(api, job) == {(f"spec.template.annotations[{MIRROR}]", must)}
    daemons = with_template(an_app("DaemonSet"), annotations={MIRROR: "x"})
    assert await refused(api, daemons) == {(f"spec.template.annotations[{MIRROR}]", must)}


async def test_anybody_may_create_a_mirror_with_a_node(api: ApiServer) -> None:
    """No admission plugin asks who creates it: only nodes are held to more. It may name no
    service account, and it gets none."""
    made = await create(api, a_pod(annotations={MIRROR: "x"}, node="n1"))
    assert "serviceAccountName" not in made["spec"]
    other = a_pod("other", annotations={MIRROR: "x"}, node="n1")
    other["spec"]["serviceAccountName"] = "default"
    with pytest.raises(ApiFailure, match="a mirror pod may not reference service accounts") as no:
        await create(api, other)
    assert no.value.code == 403
    secret = a_pod("other", annotations={MIRROR: "x"}, node="n1")
    secret["spec"]["volumes"] = [{"name": "s", "secret": {"secretName": "s"}}]
    with pytest.raises(ApiFailure, match="a mirror pod may not reference secrets"):
        await create(api, secret)


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize(
    ("before", "after", "what"),
    [({}, {MIRROR: "x"}, "add"), ({MIRROR: "x"}, {MIRROR: "y"}, "remove or update"),
     ({MIRROR: "x"}, {}, "remove or update")],
)  # fmt: skip
async def test_mirrors_stay_what_they_are(
    api: ApiServer, subresource: str, before: Json, after: Json, what: str
) -> None:
    """The annotation is neither added, changed nor taken off later, not through status either."""
    await create(api, a_pod(annotations=before, node="n1"))

    def changed(pod: Object) -> Object:
        return {**pod, "metadata": {**pod["metadata"], "annotations": after}}

    with pytest.raises(ApiFailure, match=f"may not {what} mirror pod annotation") as no:
        await api.patch(Target(kinds.PODS, "default", "p", subresource), changed)
    assert no.value.code == 422


@pytest.mark.parametrize(
    ("owners", "causes"),
    [
        ([an_owner(apiVersion=None)],
         {("metadata.ownerReferences.apiVersion", 'Invalid value: "": version must not be empty')}),
        ([an_owner(apiVersion="a/b/c")],
         {("metadata.ownerReferences.apiVersion",
           'Invalid value: "a/b/c": version must not be empty')}),
        ([an_owner(kind="", uid=None, name=None)],
         {(f"metadata.ownerReferences.{one}", 'Invalid value: "": must not be empty')
          for one in ("kind", "uid", "name")}),
    ],
)  # fmt: skip
async def test_owner_references_are_complete(api: ApiServer, owners: Json, causes: Any) -> None:
    """Each has a version, a kind, a name and a uid."""
    assert await refused(api, owned(*owners)) == causes


async def test_no_event_owns_and_one_controls(api: ApiServer) -> None:
    """Events of core/v1 are banned; of two controllers the second is one too many."""
    [(field, message)] = await refused(api, owned(an_owner(apiVersion="v1", kind="Event")))
    assert field == "metadata.ownerReferences"
    assert message.endswith("/v1, Kind=Event is disallowed from being an owner")
    two = [an_owner(controller=True), an_owner(name="k", uid="1", controller=True)]
    [(field, message)] = await refused(api, owned(*two))
    assert message.endswith('Found "true" in references for Job/j and Job/k')


@pytest.mark.parametrize(
    "owner",
    [
        an_owner(name="x" * 5000),
        an_owner(name="no name at all!"),
        an_owner(uid="not a uid"),
        an_owner(apiVersion="nobody.example/v9", kind="Serves This"),
        an_owner(apiVersion="events.k8s.io/v1", kind="Event"),
        an_owner(controller=True, blockOwnerDeletion=True),
    ],
)
async def test_what_nobody_asks_of_an_owner(api: ApiServer, owner: Json) -> None:
    """Length and form of its name and uid, whether its kind is served, whether it exists."""
    made = await create(api, owned(owner))
    assert made["metadata"]["ownerReferences"] == [owner]


@pytest.mark.parametrize(
    ("pod", "field", "message"),
    [
        (meta(name="x" * 254), "metadata.name", "must be no more than 253 bytes"),
        (meta(name="x\n"), "metadata.name", "a lowercase RFC 1123 subdomain must consist"),
        (meta(name=None, generateName="AB-"), "metadata.generateName", '"AB-": a lowercase'),
        (meta(labels={"a": "x" * 64}), "metadata.labels", "must be no more than 63 bytes"),
        (meta(labels={"a": "x\n"}), "metadata.labels", "a valid label must be"),
        (meta(labels={"x" * 64: ""}), "metadata.labels", "name part must be no more than 63"),
        (meta(labels={"x" * 254 + "/a": ""}), "metadata.labels", "prefix part must be no more"),
        (meta(labels={"/a": ""}), "metadata.labels", "prefix part must be non-empty"),
        (meta(annotations={"a/": ""}), "metadata.annotations", "name part must be non-empty"),
        (meta(annotations={"a": "x" * 262_144}), "metadata.annotations",
         "Too long: may not be more than 262144 bytes"),
        (meta(annotations={"a": "ä" * 131_072}), "metadata.annotations", "Too long"),
        (meta(finalizers=["mine"]), "metadata.finalizers[0]", "neither a standard finalizer name"),
        (meta(finalizers=["a/b/c"]), "metadata.finalizers", "a valid label key"),
        (meta(finalizers=["orphan", "foregroundDeletion"]), "metadata.finalizers",
         "cannot be both set"),
        (with_spec(hostname="x" * 64), "spec.hostname", "must be no more than 63 bytes"),
        (with_spec(hostname="a.b"), "spec.hostname", "must not contain dots"),
        (with_spec(subdomain="A"), "spec.subdomain", "a lowercase RFC 1123 label"),
    ],
)  # fmt: skip
async def test_forms_and_sizes(api: ApiServer, pod: Json, field: str, message: str) -> None:
    """Names, labels, annotations, finalizers and host names have a form and a limit."""
    causes = await refused(api, pod)
    assert [one for one in causes if one[0] == field and message in one[1]], causes


async def test_the_most_that_is_taken(api: ApiServer) -> None:
    """Each limit is the last value that passes."""
    await create(
        api,
        meta(
            name="x" * 253,
            labels={"x" * 253 + "/" + "y" * 63: "z" * 63},
            annotations={"a": "x" * 262_143},
        ),
    )
    made = await create(api, meta(name=None, generateName="x" * 200))
    assert len(made["metadata"]["name"]) == 63


async def test_names_of_jobs(api: ApiServer) -> None:
    """A Job's name is a label value of its pods; an Indexed Job's last pod is a host by its name.

    With a selector of its own a Job puts its name nowhere.
    """
    too_long = ("spec.template.labels", "must be no more than 63 bytes")
    causes = await refused(api, a_job("x" * 64))
    assert any(one[0] == too_long[0] and too_long[1] in one[1] for one in causes)
    await create(api, a_job("x" * 63))
    await create(api, a_job("x.y"))
    indexed: Json = {"completionMode": "Indexed", "parallelism": 1}
    [(field, message)] = await refused(api, a_job("y" * 62, completions=11, **indexed))
    assert field == "metadata.name"
    assert message.endswith(f"will not able to create pod with invalid DNS label: {'y' * 62}-10")
    await create(api, a_job("y" * 61, completions=10, **indexed))
    await refused(api, a_job("y.z", completions=1, **indexed))
    own: Json = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}}
    await create(api, with_template(a_job("z" * 253, **own), labels={"a": "b"}))


async def test_generated_labels_of_jobs_are_not_forged(api: ApiServer) -> None:
    """A template can't say that its pods are another Job's, a selector can't be another's."""
    forged = with_template(a_job(), labels={"controller-uid": "1-2-3"})
    fields = {field for field, _ in await refused(api, forged)}
    assert "spec.template.metadata.labels[controller-uid]" in fields
    named = with_template(a_job(), labels={"batch.kubernetes.io/job-name": "other"})
    assert await refused(api, named)
    other = {"matchLabels": {"app": "others"}}
    causes = await refused(api, with_template(a_job(selector=other), labels={"app": "others"}))
    assert ("spec.selector", "not auto-generated") in {
        (field, message.partition("`selector` ")[2]) for field, message in causes
    }
    manual = a_job(manualSelector=True, selector={"matchLabels": {"a": "b"}})
    assert {field for field, _ in await refused(api, manual)} == {"spec.template.metadata.labels"}
    fields = {field for field, _ in await refused(api, a_job(manualSelector=True))}
    assert fields == {"spec.selector", "spec.template.metadata.labels"}


async def test_names_of_other_owners(api: ApiServer) -> None:
    """CronJobs leave room for their Jobs' names, StatefulSets are DNS labels, others not."""
    [(field, message)] = await refused(api, a_cron_job("x" * 53))
    assert (field, message[-34:]) == ("metadata.name", "must be no more than 52 characters")
    await create(api, a_cron_job("x" * 52))
    assert await refused(api, an_app("StatefulSet", "a.b"))
    await create(api, an_app("StatefulSet", "a" * 63))
    await create(api, an_app("DaemonSet", "a.b"))


async def test_too_many_at_once(api: ApiServer) -> None:
    """An Indexed Job has 100,000 pods at once at most; another Job has no limit."""
    many: Json = {"parallelism": 100_001, "completions": 100_001}
    assert await refused(api, a_job(completionMode="Indexed", **many))
    await create(api, a_job(**many))


async def test_priority_is_not_for_the_user_to_say(api: ApiServer) -> None:
    """spec.priority and preemptionPolicy come from the class; saying the same is fine."""
    with pytest.raises(ApiFailure, match=r"integer value of priority \(7\) must not be") as no:
        await create(api, with_spec(priority=7))
    assert no.value.code == 403
    with pytest.raises(ApiFailure, match="string value of PreemptionPolicy"):
        await create(api, with_spec(preemptionPolicy="Never"))
    await create(api, with_spec(priority=0, preemptionPolicy="PreemptLowerPriority"))


async def test_what_etcd_has_no_room_for(api: ApiServer) -> None:
    """An object of two megabytes is not stored, neither new nor grown."""
    container = {"name": "main", "image": "x", "args": ["x" * 2_000_000]}
    with pytest.raises(ApiFailure, match="request is too large") as no:
        await create(api, with_spec(containers=[container]))
    assert no.value.code == 500
    await create(api, a_pod())

    def grown(pod: Object) -> Object:
        owners = [an_owner(name="x" * 2_000_000)]
        return {**pod, "metadata": {**pod["metadata"], "ownerReferences": owners}}

    with pytest.raises(ApiFailure, match="request is too large"):
        await api.patch(Target(kinds.PODS, "default", "p"), grown)
    kept = api.get(Target(kinds.PODS, "default", "p")).object
    assert "ownerReferences" not in kept["metadata"]
