"""Who may submit at all, and which limit keeps which job waiting."""

from tests.recording.scenarios import books
from tests.recording.session import Json, Scenario

_PHYSICS = {"user_id": "daemon", "group_id": "daemon"}
_BIOLOGY = {"user_id": "alice", "group_id": "alice"}
_ASSOCIATION: dict[str, tuple[Json, dict[str, Json]]] = {
    "jobs": ({"jobs": {"active": books.number(1)}}, {}),
    "cpus_per_job": ({"tres": {"per": {"job": books.tres(cpu=2)}}}, {"cpus_per_task": 3}),
    "gpus_per_job": (
        {"tres": {"per": {"job": books.tres(gres_gpu=2)}}}, {"tres_per_task": "gres/gpu:3"},
    ),
    "wall": ({"jobs": {"per": {"wall_clock": books.number(10)}}}, {"time_limit": books.number(20)}),
    "group_cpus": ({"tres": {"total": books.tres(cpu=2)}}, {"cpus_per_task": 2}),
    "group_gpus": ({"tres": {"total": books.tres(gres_gpu=2)}}, {"tres_per_task": "gres/gpu:3"}),
    "group_mem": ({"tres": {"total": books.tres(mem=250)}}, {"memory_per_cpu": books.number(200)}),
    "group_node": ({"tres": {"total": books.tres(node=1)}}, {"tasks": 2, "nodes": "2"}),
    "mem_per_job": ({"tres": {"per": {"job": books.tres(mem=150)}}}, {"cpus_per_task": 2}),
    "nodes_per_job": ({"tres": {"per": {"job": books.tres(node=1)}}}, {"tasks": 2, "nodes": "2"}),
    "billing_per_job": ({"tres": {"per": {"job": books.tres(billing=1)}}}, {"cpus_per_task": 2}),
    "group_billing": ({"tres": {"total": books.tres(billing=2)}}, {"cpus_per_task": 2}),
}  # fmt: skip
"""Limits of an association, and what goes beyond them beside a job with one CPU."""
_LIFTED: dict[str, Json] = {
    "jobs": {
        "active": books.INFINITE,
        "total": books.INFINITE,
        "per": {"wall_clock": books.INFINITE},
    },
    "tres": {
        "per": {"job": books.tres(cpu=-1, gres_gpu=-1, mem=-1, node=-1, billing=-1)},
        "total": books.tres(cpu=-1, gres_gpu=-1, mem=-1, node=-1, billing=-1),
    },
}
_QOS: dict[str, tuple[Json, Json, dict[str, Json]]] = {
    "qos_jobs_per_user": (
        {"jobs": {"active_jobs": {"per": {"user": books.number(1)}}}},
        {"jobs": {"active_jobs": {"per": {"user": books.INFINITE}}}}, {},
    ),
    "qos_jobs": (
        {"active_jobs": {"count": books.number(1)}}, {"active_jobs": {"count": books.INFINITE}}, {},
    ),
    "qos_cpus_per_user": (
        {"tres": {"per": {"user": books.tres(cpu=2)}}},
        {"tres": {"per": {"user": books.tres(cpu=-1)}}},
        {"cpus_per_task": 2},
    ),
    "qos_cpus": (
        {"tres": {"total": books.tres(cpu=2)}}, {"tres": {"total": books.tres(cpu=-1)}},
        {"cpus_per_task": 2},
    ),
    "qos_gpus_per_user": (
        {"tres": {"per": {"user": books.tres(gres_gpu=2)}}},
        {"tres": {"per": {"user": books.tres(gres_gpu=-1)}}}, {"tres_per_task": "gres/gpu:3"},
    ),
    "qos_cpus_per_job": (
        {"tres": {"per": {"job": books.tres(cpu=2)}}},
        {"tres": {"per": {"job": books.tres(cpu=-1)}}},
        {"cpus_per_task": 3},
    ),
    "qos_wall": (
        {"wall_clock": {"per": {"job": books.number(10)}}},
        {"wall_clock": {"per": {"job": books.INFINITE}}}, {"time_limit": books.number(20)},
    ),
}  # fmt: skip
"""Limits of a QOS, how they are lifted, and what goes beyond them."""


def accounting_limits(s: Scenario) -> None:
    """Users without accounts, with limits of their own, of their account, of a QOS."""
    s.enforced = books.ENFORCED
    for number in (1, 2):
        s.node(f"sl{number}", cpus=16, gpus=8, topology=f"topo:root:sla:slleaf{number}")
    _who_may_submit(s)
    for name, (limit, description) in _ASSOCIATION.items():
        _beyond_an_association(s, name, limit, description)
    _submits_and_times(s)
    _an_account(s)
    _a_qos(s)
    for name, (limit, lift, description) in {**_QOS, **_more_of_qos()}.items():
        _beyond_a_qos(s, name, limit, lift, description)
    _refused_by_a_qos(s)
    _history(s)
    _removed_while_used(s)


def _waits(s: Scenario, name: str, **description: Json) -> None:
    """A job that is not started, and why."""
    s.submit(name, **description)
    s.wait(1.6)
    s.get(name, when="waiting")


def _let_go(s: Scenario, name: str) -> None:
    """Changed limits are seen at the next look: soon when the job changes, else within a minute."""
    s.wait(0.5)
    s.step(f"touch {name}", "POST", f"/job/{{{name}}}", {"comment": "look again"})
    _starts(s, name)


def _starts(s: Scenario, name: str) -> None:
    s.wait_for(name, "RUNNING")
    s.get(name, when="started")


def _who_may_submit(s: Scenario) -> None:
    s.submit("of_slurm")
    s.submit("of_root", user_id="root", group_id="root")
    s.submit("of_stranger", **_PHYSICS)
    s.submit("of_number", user_id="4711", group_id="4711")
    books.account(s, "physics")
    books.account(s, "biology")
    books.qos(s, "small")
    books.user(s, "daemon", "physics")
    books.user(s, "alice", "biology")
    s.wait(1)
    s.submit("of_daemon", **_PHYSICS)
    _starts(s, "of_daemon")
    s.submit("named", account="physics", qos="normal", **_PHYSICS)
    _starts(s, "named")
    s.submit("held", hold=True, **_PHYSICS)
    s.get("held")
    for name, wrong in {
        "foreign": {"account": "biology"}, "no_account": {"account": "nope"},
        "no_qos": {"qos": "nope"}, "not_my_qos": {"qos": "small"},
    }.items():  # fmt: skip
        s.submit(name, **wrong, **_PHYSICS)
        s.step(f"update held {name}", "POST", "/job/{held}", wrong)
    for name in ("of_daemon", "named", "held", "of_root"):
        s.cancel(name)


def _beyond_an_association(
    s: Scenario, name: str, limit: Json, description: dict[str, Json]
) -> None:
    books.change(s, f"limit {name}", "daemon", "physics", max=limit)
    s.wait(0.3)
    s.submit(f"first_{name}", **_PHYSICS)
    s.wait_for(f"first_{name}", "RUNNING")
    _waits(s, f"over_{name}", **_PHYSICS, **description)
    books.change(s, f"lift {name}", "daemon", "physics", max=_LIFTED)
    _let_go(s, f"over_{name}")
    s.cancel(f"first_{name}")
    s.cancel(f"over_{name}")


def _submits_and_times(s: Scenario) -> None:
    """How many may be submitted; and how long a job without a time limit may run."""
    books.change(s, "limit submit", "daemon", "physics", max={"jobs": {"total": books.number(1)}})
    s.wait(1)
    s.submit("only", **_PHYSICS)
    s.submit("one_too_many", **_PHYSICS)
    s.cancel("only")
    s.submit("then", **_PHYSICS)
    s.cancel("then")
    books.change(s, "lift submit", "daemon", "physics", max=_LIFTED)
    books.change(
        s,
        "wall again",
        "daemon",
        "physics",
        max={"jobs": {"per": {"wall_clock": books.number(10)}}},
    )
    s.wait(1)
    s.submit("no_limit_said", **_PHYSICS)
    _starts(s, "no_limit_said")
    s.cancel("no_limit_said")
    books.change(s, "lift wall again", "daemon", "physics", max=_LIFTED)


def _an_account(s: Scenario) -> None:
    """Its limits hold for all its users together."""
    books.user(s, "alice", "physics")
    books.change(s, "limit account", "", "physics", max={"tres": {"total": books.tres(cpu=3)}})
    s.wait(1)
    s.submit("of_one", cpus_per_task=2, **_PHYSICS)
    s.wait_for("of_one", "RUNNING")
    _waits(s, "of_other", cpus_per_task=2, account="physics", **_BIOLOGY)
    s.submit("behind", **_PHYSICS)
    s.wait_for("behind", "RUNNING")
    s.get("behind")
    s.cancel("of_one")
    _starts(s, "of_other")
    s.cancel("of_other")
    s.cancel("behind")
    books.change(s, "lift account", "", "physics", max={"tres": {"total": books.tres(cpu=-1)}})


def _a_qos(s: Scenario) -> None:
    """Allowed, and by default."""
    books.change(s, "allow small", "daemon", "physics", qos=["normal", "small"])
    s.wait(1)
    s.submit("in_small", qos="small", **_PHYSICS)
    _starts(s, "in_small")
    s.cancel("in_small")
    books.change(s, "default small", "daemon", "physics", default={"qos": "small"})
    s.wait(1)
    s.submit("by_default", **_PHYSICS)
    _starts(s, "by_default")
    s.cancel("by_default")


def _more_of_qos() -> dict[str, tuple[Json, Json, dict[str, Json]]]:
    """The same limits of other kinds."""
    found: dict[str, tuple[Json, Json, dict[str, Json]]] = {}
    for whose in ("total", "per job", "per user"):
        kinds = {"mem": 150, "node": 1, "billing": 1}
        for kind, count in (*kinds.items(), ("gres_gpu", 2)):
            if (kind, whose) != ("gres_gpu", "per user"):
                limit, lift = (
                    {"tres": books.nested(whose, books.tres(**{kind: n}))} for n in (count, -1)
                )
                asked = {"tasks": 2, "nodes": "2", "tres_per_task": "gres/gpu:2"}
                found[f"qos_{kind}_{whose.replace(' ', '_')}"] = (limit, lift, asked)
    return found


def _beyond_a_qos(
    s: Scenario, name: str, limit: Json, lift: Json, description: dict[str, Json]
) -> None:
    books.qos(s, "small", when=f"with {name}", limits={"max": limit})
    s.wait(0.3)
    s.submit(f"first_{name}", **_PHYSICS)
    s.wait_for(f"first_{name}", "RUNNING")
    _waits(s, f"over_{name}", **_PHYSICS, **description)
    books.qos(s, "small", when=f"without {name}", limits={"max": lift})
    _let_go(s, f"over_{name}")
    s.cancel(f"first_{name}")
    s.cancel(f"over_{name}")


def _refused_by_a_qos(s: Scenario) -> None:
    """Too many submits, and what DENY_LIMIT makes of other limits."""
    per_user = {"jobs": {"per": {"user": books.number(1)}}}
    books.qos(s, "small", when="with submits", limits={"max": per_user})
    s.wait(1)
    s.submit("qos_only", **_PHYSICS)
    s.submit("qos_one_too_many", **_PHYSICS)
    s.cancel("qos_only")
    books.qos(s, "small", when="that denies", flags=["DENY_LIMIT"],
         limits={"max": {"tres": {"per": {"job": books.tres(cpu=2)}}}})  # fmt: skip
    s.wait(1)
    s.submit("denied", cpus_per_task=3, **_PHYSICS)
    s.submit("not_denied", cpus_per_task=2, **_PHYSICS)
    s.cancel("not_denied")
    s.wait(2)


def _history(s: Scenario) -> None:
    for job in ("over_jobs", "over_gpus_per_job", "by_default", "held", "no_limit_said"):
        books.read(s, f"job/{{{job}}}")
    for query in ("?start_time=uts1700000000&skip_steps&job_name=by_default",
                  "?start_time=uts1700000000&skip_steps&users=alice",
                  "?start_time=uts1700000000&skip_steps&users=stranger",
                  "?start_time=uts1700000000&skip_steps&state=NOPE",
                  "?start_time=uts1700000000&skip_steps&users=alice&state=RUNNING",
                  "?start_time=uts1700000000&end_time=uts4000000000&users=alice&state=RUNNING",
                  "?start_time=uts1700000000&end_time=uts4000000000&users=alice&state=TIMEOUT",
                  "?start_time=uts1700000000&skip_steps&job_name=held",
                  "?start_time=never",
                  "?start_time=uts1700000000&skip_steps&account=physics&state=PENDING",
                  "?start_time=uts1700000000&skip_steps&account=nope"):  # fmt: skip
        books.read(s, f"jobs/{query}")


def _removed_while_used(s: Scenario) -> None:
    """Nothing goes whose jobs wait or run."""
    s.submit("last", **_PHYSICS)
    s.wait_for("last", "RUNNING")
    books.delete(s, "account/physics", when="in use")
    books.delete(s, "user/daemon", when="in use")
    books.delete(s, "associations/?user=daemon", when="in use")
    s.cancel("last")
    s.submit("waiting", hold=True, **_PHYSICS)
    books.delete(s, "user/daemon", when="with a waiting job")
    s.wait(2)
    s.get("waiting", when="without a user")
    s.cancel("waiting")
    s.wait(1)
    for noun in ("user/daemon", "user/alice", "account/physics", "account/biology", "qos/small"):
        books.delete(s, noun, when="at the end")


STORIES = (accounting_limits,)
