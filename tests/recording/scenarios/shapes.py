"""Jobs of other shapes: cores by number, het jobs, batch jobs where no slurmd is."""

from tests.recording.session import Json, Scenario, job

_SCRIPT = "#!/bin/sh\ntrue\n"


def _layout(s: Scenario, name: str, *, when: str = "") -> Json:
    return s.step(f"layout of {name} {when}".strip(), "GET", f"/resources/{{{name}}}")


def cores(s: Scenario) -> None:
    """Cores are given by the lowest number, sockets in turn; threads come with their core."""
    both = "count=8,name=gpu,type=h100,file=/dev/nvidia[0-7]+count=4,name=efa"
    s.node("co1", cpus=63, gres="gpu:h100:8,efa:4", gres_conf=both, topology="topo:root:ca:cl")
    s.submit("first", tasks=3, tres_per_task="gres/gpu:2")
    s.submit("second", tasks=2, tres_per_task="gres/efa:1")
    s.submit("third", tasks=2, cpus_per_task=2)
    s.wait_for("third", "RUNNING")
    for name in ("first", "second", "third"):
        _layout(s, name)
    s.cancel("second")
    _layout(s, "second", when="over")
    s.submit("fourth", tasks=3)
    s.wait_for("fourth", "RUNNING")
    _layout(s, "fourth", when="in the gap")
    s.submit("held", hold=True)
    _layout(s, "held")
    s.step("layout of nobody", "GET", "/resources/99999")
    s.step("layout of no id", "GET", "/resources/abc")
    for name in ("first", "third", "fourth", "held"):
        s.cancel(name)
    for name, layout in (("co2", "2:4:1"), ("co3", "2:2:2")):
        sockets, per_socket, threads = layout.split(":")
        words = (
            f"NodeName={name} NodeAddr=127.0.0.1 Sockets={sockets} CoresPerSocket={per_socket}",
            f"ThreadsPerCore={threads} RealMemory=4000 State=External Feature={name}",
            "Topology=topo:root:ca:cl",
        )
        s.step(f"create node {name}", "POST", "/new/node/", {"node_conf": " ".join(words)})
        shapes: dict[str, dict[str, Json]] = {
            f"{name}_one": {},
            f"{name}_two": {"tasks": 2},
            f"{name}_three": {"cpus_per_task": 3},
        }
        for shape, fields in shapes.items():
            s.submit(shape, constraints=name, **fields)
            s.wait_for(shape, "RUNNING")
            _layout(s, shape)
            s.get(shape)
        for shape in shapes:
            s.cancel(shape)


def het(s: Scenario) -> None:
    """Components start together on nodes of their own; the first one's end is the end of all."""
    for number in (1, 2):
        s.node(f"he{number}", cpus=8, gpus=8, topology="topo:root:ha:hl")
    s.submit_het({"lead": {"tres_per_task": "gres/gpu:8"}, "second": {"cpus_per_task": 2}})
    s.step("states of all", "GET", "/jobs/state/")
    s.wait_for("second", "RUNNING")
    for name in ("lead", "second"):
        s.get(name, when="running")
        _layout(s, name)
    s.step("requeue", "GET", "/job/{lead}/requeue")
    s.cancel("second")
    s.get("lead", when="second cancelled")
    s.cancel("lead", when="without second")
    s.cancel("lead", when="again")
    s.submit_het({"a": {}, "b": {}})
    s.wait_for("a", "RUNNING")
    s.cancel("a")
    for name in ("a", "b"):
        s.get(name, when="ended by the first")
    s.cancel("b", when="over")
    s.submit_het({"held": {"hold": True}, "free": {}})
    s.wait(2.5)
    for name in ("held", "free"):
        s.get(name, when="one is held")
    s.step("release", "POST", "/job/{held}", {"hold": False})
    s.wait_for("free", "RUNNING")
    s.cancel("held")
    s.submit_het({"open": {}, "kept": {"hold": True}})
    s.cancel("open", when="with one held")
    limit = {"set": True, "number": 90}
    s.submit_het({name: {"time_limit": limit} for name in ("one", "two", "three")})
    s.wait(3.5)
    s.submit("behind", time_limit=limit)
    s.wait(3.5)
    for name in ("one", "two", "three", "behind"):
        s.get(name, when="no room for three")
    s.cancel("three")
    s.cancel("behind")
    s.wait(3.5)
    s.get("one", when="what is left")
    s.cancel("one", when="what is left")
    s.submit_het({"low": {}, "lower": {}})
    s.wait_for("low", "RUNNING")
    s.submit("high", partition="high", required_nodes=["he2"], shared=["none"])
    s.wait_for("high", "RUNNING")
    for name in ("low", "lower"):
        s.get(name, when="one of them preempted")
    s.cancel("high")
    s.submit_het({"hit": {}, "other": {}})
    s.wait_for("hit", "RUNNING")
    s.step("node down", "POST", "/node/he2", {"state": ["DOWN"], "reason": "het"})
    s.wait(0.5)
    for name in ("hit", "other"):
        s.get(name, when="a node is down")


def het_refused(s: Scenario) -> None:
    """One bad component spoils all; forms that slurmrestd takes or not."""
    s.node("hr1", cpus=8, gpus=8, topology="topo:root:hra:hrl")
    s.node("hr2", cpus=8, gpus=8, topology="topo:root:hra:hrl")
    spoils: dict[str, dict[str, Json]] = {
        "feature": {"constraints": "nope"},
        "partition": {"partition": "nope"},
        "gres": {"tres_per_task": "gres/gpu:9"},
        "type": {"tasks": "many"},
        "user": {"user_id": "nope"},
    }
    for name, fields in spoils.items():
        s.submit_het({f"{name}_good": {}, f"{name}_bad": fields})
    s.submit_het({"flag_good": {}, "flag_bad": {"flags": ["EXTERNAL_JOB", "NOPE"]}})
    s.cancel("flag_good")
    s.submit_het({"field_good": {}, "field_bad": {"nope": 1}})
    s.cancel("field_good")
    s.submit_het({"alone": {}})
    s.wait_for("alone", "RUNNING")
    s.get("alone")
    s.step("states of all", "GET", "/jobs/state/")
    s.cancel("alone")
    both = {"jobs": [job("x")], "job": job("y")}
    s.step("job and jobs", "POST", "/job/submit", both)


def batch(s: Scenario) -> None:
    """What can be told to a batch job that no slurmd can run."""

    def submit(name: str, body: Json, **fields: Json) -> Json:
        fields = {"flags": [], **fields}
        content = {"job": job(name, **fields), **body}
        return s.step(f"submit {name}", "POST", "/job/submit", content, job=name)

    script = {"script": _SCRIPT}
    submit("waits", script)
    s.wait(1.5)
    s.get("waits", when="without nodes")
    s.step("requeue what waits", "GET", "/job/{waits}/requeue")
    s.step("signal what waits", "DELETE", "/job/{waits}?signal=USR1")
    s.step("unknown signal", "DELETE", "/job/{waits}?signal=NOPE")
    s.get("waits", when="unknown signal")
    s.step("requeue what is over", "GET", "/job/{waits}/requeue")
    s.wait(1.5)
    s.get("waits", when="requeued")
    s.step("kill what waits", "DELETE", "/job/{waits}?signal=KILL")
    s.step("requeue and hold", "GET", "/job/{waits}/requeue?Hold=true")
    s.get("waits", when="requeued and held")
    s.cancel("waits", when="held")
    submit("no_requeue", script, requeue=False)
    s.cancel("no_requeue")
    s.step("requeue what said no", "GET", "/job/{no_requeue}/requeue")
    submit("within", {}, script=_SCRIPT)
    s.get("within")
    s.cancel("within")
    submit("external", script, flags=["EXTERNAL_JOB"])
    submit("none", {})
    submit("empty", {"script": ""})
    s.node("ba1", topology="topo:root:ba:bl")
    submit("nowhere", script)
    s.submit("placeholder")
    s.wait_for("placeholder", "RUNNING")
    s.step("requeue a placeholder", "GET", "/job/{placeholder}/requeue")
    s.cancel("placeholder")
    s.step("requeue nobody", "GET", "/job/99999/requeue")
    s.step("requeue no id", "GET", "/job/abc/requeue")


def begin(s: Scenario) -> None:
    """A begin time keeps a job waiting, and nobody else."""
    s.node("be1", cpus=4, topology="topo:root:bea:bel")
    s.submit("later", cpus_per_task=4, begin_time={"set": True, "number": s.after_s(1000)})
    s.submit("now")
    s.wait_for("now", "RUNNING")
    s.wait(1.5)
    s.get("later", when="passed")
    s.cancel("now")
    s.step("sooner", "POST", "/job/{later}", {"begin_time": {"set": True, "number": s.after_s(1)}})
    s.wait_for("later", "RUNNING")
    s.get("later", when="its time")
    for when, seconds in (("no time", 0), ("too late", s.after_s(2000))):
        body = {"begin_time": {"set": True, "number": seconds}}
        s.step(when, "POST", "/job/{later}", body)


STORIES = (cores, het, het_refused, batch, begin)
