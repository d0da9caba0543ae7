"""Accounts, users, associations, QOS: how they come and go, and whom they keep waiting.

These want a slurmdbd and `AccountingStorageEnforce=limits,qos` (scenarios/accounting.conf).
"""

from tests.recording.session import Json, Scenario

ASSOCIATIONS = "/slurmdb/v0.0.45/associations/"
NEW_ACCOUNT = "/slurmdb/v0.0.45/accounts_association/"
NEW_USER = "/slurmdb/v0.0.45/users_association/"
QOS = "/slurmdb/v0.0.45/qos/"
_INFINITE = {"set": False, "infinite": True, "number": 0}


def _read(s: Scenario, path: str, *, when: str = "") -> Json:
    return s.step(f"read {path} {when}".strip(), "GET", f"/slurmdb/v0.0.45/{path}")


def _delete(s: Scenario, path: str, *, when: str = "") -> Json:
    return s.step(f"delete {path} {when}".strip(), "DELETE", f"/slurmdb/v0.0.45/{path}")


def _number(value: float) -> Json:
    return {"set": True, "infinite": False, "number": value}


def _tres(**counts: int) -> Json:
    """`gres_gpu` is gres/gpu."""
    return [
        {"type": name.partition("_")[0], "name": name.partition("_")[2], "count": count}
        for name, count in counts.items()
    ]


def _account(s: Scenario, name: str, *, when: str = "", **limits: Json) -> Json:
    condition = {"accounts": [name], "clusters": [], "association": limits}
    body = {
        "association_condition": condition,
        "account": {"description": f"all of {name}", "organization": "uni"},
    }
    return s.step(f"account {name} {when}".strip(), "POST", NEW_ACCOUNT, body)


def _user(s: Scenario, name: str, account: str, *, when: str = "", **limits: Json) -> Json:
    condition = {
        "accounts": [account], "clusters": [], "users": [name], "association": limits,
    }  # fmt: skip
    body: Json = {"association_condition": condition, "user": {}}
    return s.step(f"user {name} in {account} {when}".strip(), "POST", NEW_USER, body)


def _change(s: Scenario, name: str, user: str, account: str, **fields: Json) -> Json:
    row = {"account": account, "cluster": "stack", "user": user, **fields}
    return s.step(name, "POST", ASSOCIATIONS, {"associations": [row]})


def _qos(s: Scenario, name: str, *, when: str = "", **fields: Json) -> Json:
    return s.step(f"qos {name} {when}".strip(), "POST", QOS, {"qos": [{"name": name, **fields}]})


def accounting_tables(s: Scenario) -> None:
    """What slurmdbd answers to whoever reads, makes, changes and removes."""
    for path in ("ping/", "tres/", "accounts/", "users/", "users/?with_assocs", "associations/",
                 "qos/", "account/root", "user/root?with_assocs", "qos/normal"):  # fmt: skip
        _read(s, path)
    for noun in ("account", "user", "qos", "job", "association"):
        _read(s, f"{noun}/4711")
    for noun in ("account", "user", "qos"):
        _delete(s, f"{noun}/nope")
    _read(s, "associations/?account=nope")
    _delete(s, "associations/?account=nope")

    _account(s, "physics", fairshare=3, grptres=_tres(gres_gpu=16), qoslevel=["normal"])
    _account(s, "physics", when="again")
    _account(s, "optics", parent="physics", maxjobs=_number(5), maxsubmitjobs=_number(9))
    _account(s, "orphan", parent="nope")
    _account(s, "unlisted", qoslevel=["nope"])
    _account(s, "uncounted", grptres=_tres(gres_tpu=1))
    _account(s, "unasked", bogus=3)
    s.step("account without condition", "POST", NEW_ACCOUNT, {"account": {}})
    s.step("account that is a list", "POST", NEW_ACCOUNT, [1])
    for path in ("accounts/", "account/physics", "associations/?account=optics", "associations/",
                 "account/physics?with_assocs"):  # fmt: skip
        _read(s, path, when="with physics")

    _user(s, "marie", "nope")
    _user(s, "marie", "physics", fairshare=5, maxjobs=_number(2), maxwalldurationperjob=_number(90),
          maxtresperjob=_tres(cpu=8, gres_gpu=4))  # fmt: skip
    _user(s, "marie", "physics", when="again")
    _user(s, "marie", "optics")
    _user(s, "pierre", "optics", defaultqos="nope")
    _user(s, "pierre", "optics", defaultqos="normal")
    for path in ("users/", "users/?with_assocs", "user/marie", "user/marie?with_assocs",
                 "associations/?user=marie", "associations/?user=marie&account=physics",
                 "associations/?account=physics", "associations/?cluster=stack",
                 "associations/?cluster=nope", "associations/?partition=nope"):  # fmt: skip
        _read(s, path, when="with marie")
    s.step("shares", "GET", "/shares")
    s.step("shares of an account", "GET", "/shares?accounts=optics")
    s.step("shares of a user", "GET", "/shares?users=pierre")
    s.step("shares of nobody", "GET", "/shares?accounts=nope")

    _change(s, "change marie", "marie", "physics", max={
        "jobs": {"total": _number(9)}, "tres": {"per": {"job": _tres(cpu=6)}, "total": _tres(mem=9)},
    })  # fmt: skip
    _read(s, "associations/?user=marie&account=physics", when="changed")
    _change(s, "lift marie's", "marie", "physics", shares_raw=1, max={
        "jobs": {"active": {"set": False, "infinite": True, "number": 0}},
        "tres": {"per": {"job": _tres(cpu=-1)}},
    })  # fmt: skip
    _read(s, "associations/?user=marie&account=physics", when="lifted")
    _change(s, "change nobody", "nobody-here", "physics", shares_raw=2)
    _read(s, "associations/?user=nobody-here")
    _change(s, "change nothing", "marie", "physics")
    _change(s, "change with a wrong QOS", "marie", "physics", qos=["nope"])
    _change(s, "change with a wrong field", "marie", "physics", bogus=1)
    s.step("change without a list", "POST", ASSOCIATIONS, {})

    _qos(s, "urgent", description="soon", priority=_number(100), flags=["DENY_LIMIT"],
         preempt={"list": ["normal"]}, limits={"grace_time": 30, "max": {
             "active_jobs": {"count": _number(7)},
             "jobs": {"active_jobs": {"per": {"user": _number(2)}}, "per": {"user": _number(4)}},
             "tres": {"total": _tres(gres_gpu=64), "per": {"job": _tres(cpu=8)}}}})  # fmt: skip
    _read(s, "qos/urgent", when="new")
    _qos(s, "urgent", when="changed", usage_factor=_number(0.5), limits={"max": {
        "wall_clock": {"per": {"job": _number(60)}},
        "tres": {"per": {"user": _tres(cpu=8)}}}})  # fmt: skip
    _qos(s, "plain")
    _qos(s, "odd", flags=["NOPE"])
    _qos(s, "odd", preempt={"list": ["nope"]})
    _qos(s, "odd", bogus=1)
    s.step("qos without a list", "POST", QOS, {})
    for path in ("qos/", "qos/urgent", "qos/odd"):
        _read(s, path, when="made")
    _change(s, "give marie QOS", "marie", "physics", qos=["normal", "urgent"],
            default={"qos": "urgent"})  # fmt: skip
    _read(s, "associations/?user=marie&account=physics", when="with QOS")
    _delete(s, "qos/urgent", when="in use")
    _read(s, "associations/?user=marie&account=physics", when="without QOS")
    _delete(s, "qos/plain")
    _delete(s, "qos/odd")

    _delete(s, "associations/?user=marie&account=physics")
    _delete(s, "associations/?user=marie&account=optics")
    _read(s, "user/marie?with_assocs", when="nowhere")
    _delete(s, "associations/?user=marie")
    _delete(s, "user/marie")
    _delete(s, "account/physics", when="with children")
    _delete(s, "account/optics")
    _delete(s, "account/physics")
    _read(s, "users/?with_assocs", when="at the end")
    _delete(s, "user/pierre")
    for path in ("accounts/", "users/", "associations/", "qos/"):
        _read(s, path, when="at the end")
    for account in ("unlisted", "uncounted", "unasked", "orphan"):
        _delete(s, f"account/{account}")


def _waits(s: Scenario, name: str, **description: Json) -> None:
    """A job that is not started, and why."""
    s.submit(name, **description)
    s.wait(2.5)
    s.get(name, when="waiting")


def _let_go(s: Scenario, name: str) -> None:
    """Changed limits are seen at the next look: soon when the job changes, else within a minute."""
    s.wait(0.5)
    s.step(f"touch {name}", "POST", f"/job/{{{name}}}", {"comment": "look again"})
    _starts(s, name)


def _starts(s: Scenario, name: str) -> None:
    s.wait_for(name, "RUNNING")
    s.get(name, when="started")


def accounting_limits(s: Scenario) -> None:
    """Who may submit at all, and which limit keeps which job waiting."""
    for number in (1, 2):
        s.node(f"sl{number}", cpus=16, gpus=8, topology=f"topo:root:sla:slleaf{number}")
    physics = {"user_id": "daemon", "group_id": "daemon"}
    biology = {"user_id": "alice", "group_id": "alice"}
    s.submit("of_slurm")
    s.submit("of_root", user_id="root", group_id="root")
    s.submit("of_stranger", **physics)
    s.submit("of_number", user_id="4711", group_id="4711")
    _account(s, "physics")
    _account(s, "biology")
    _qos(s, "small")
    _user(s, "daemon", "physics")
    _user(s, "alice", "biology")
    s.wait(1)
    s.submit("of_daemon", **physics)
    _starts(s, "of_daemon")
    s.submit("named", account="physics", qos="normal", **physics)
    _starts(s, "named")
    s.submit("held", hold=True, **physics)
    s.get("held")
    for name, wrong in {
        "foreign": {"account": "biology"}, "no_account": {"account": "nope"},
        "no_qos": {"qos": "nope"}, "not_my_qos": {"qos": "small"},
    }.items():  # fmt: skip
        s.submit(name, **wrong, **physics)
        s.step(f"update held {name}", "POST", "/job/{held}", wrong)
    for name in ("of_daemon", "named", "held", "of_root"):
        s.cancel(name)

    # An association's limits on its own jobs.
    limits: dict[str, tuple[Json, dict[str, Json]]] = {
        "jobs": ({"jobs": {"active": _number(1)}}, {}),
        "cpus_per_job": ({"tres": {"per": {"job": _tres(cpu=2)}}}, {"cpus_per_task": 3}),
        "gpus_per_job": (
            {"tres": {"per": {"job": _tres(gres_gpu=2)}}}, {"tres_per_task": "gres/gpu:3"},
        ),
        "wall": ({"jobs": {"per": {"wall_clock": _number(10)}}}, {"time_limit": _number(20)}),
        "group_cpus": ({"tres": {"total": _tres(cpu=2)}}, {"cpus_per_task": 2}),
        "group_gpus": ({"tres": {"total": _tres(gres_gpu=2)}}, {"tres_per_task": "gres/gpu:3"}),
        "group_mem": ({"tres": {"total": _tres(mem=250)}}, {"memory_per_cpu": _number(200)}),
        "group_node": ({"tres": {"total": _tres(node=1)}}, {"tasks": 2, "nodes": "2"}),
    }  # fmt: skip
    lifted: dict[str, Json] = {
        "jobs": {"active": _INFINITE, "total": _INFINITE, "per": {"wall_clock": _INFINITE}},
        "tres": {
            "per": {"job": _tres(cpu=-1, gres_gpu=-1)},
            "total": _tres(cpu=-1, gres_gpu=-1, mem=-1, node=-1),
        },
    }
    for name, (limit, description) in limits.items():
        _change(s, f"limit {name}", "daemon", "physics", max=limit)
        s.wait(1)
        s.submit(f"first_{name}", **physics)
        s.wait_for(f"first_{name}", "RUNNING")
        _waits(s, f"over_{name}", **physics, **description)
        _change(s, f"lift {name}", "daemon", "physics", max=lifted)
        _let_go(s, f"over_{name}")
        s.cancel(f"first_{name}")
        s.cancel(f"over_{name}")
        s.wait(1)
    _change(s, "limit submit", "daemon", "physics", max={"jobs": {"total": _number(1)}})
    s.wait(1)
    s.submit("only", **physics)
    s.submit("one_too_many", **physics)
    s.cancel("only")
    s.submit("then", **physics)
    s.cancel("then")
    _change(s, "lift submit", "daemon", "physics", max=lifted)
    _change(s, "wall again", "daemon", "physics", max={"jobs": {"per": {"wall_clock": _number(10)}}})
    s.wait(1)
    s.submit("no_limit_said", **physics)
    _starts(s, "no_limit_said")
    s.cancel("no_limit_said")
    _change(s, "lift wall again", "daemon", "physics", max=lifted)

    # An account's limits hold for all its users together.
    _user(s, "alice", "physics")
    _change(s, "limit account", "", "physics", max={"tres": {"total": _tres(cpu=3)}})
    s.wait(1)
    s.submit("of_one", cpus_per_task=2, **physics)
    s.wait_for("of_one", "RUNNING")
    _waits(s, "of_other", cpus_per_task=2, account="physics", **biology)
    s.submit("behind", **physics)
    s.wait(2.5)
    s.get("behind")
    s.cancel("of_one")
    _starts(s, "of_other")
    s.cancel("of_other")
    s.cancel("behind")
    _change(s, "lift account", "", "physics", max={"tres": {"total": _tres(cpu=-1)}})

    # A QOS: allowed, by default, and its limits.
    _change(s, "allow small", "daemon", "physics", qos=["normal", "small"])
    s.wait(1)
    s.submit("in_small", qos="small", **physics)
    _starts(s, "in_small")
    s.cancel("in_small")
    _change(s, "default small", "daemon", "physics", default={"qos": "small"})
    s.wait(1)
    s.submit("by_default", **physics)
    _starts(s, "by_default")
    s.cancel("by_default")
    most: dict[str, tuple[Json, Json, dict[str, Json]]] = {
        "qos_jobs_per_user": (
            {"jobs": {"active_jobs": {"per": {"user": _number(1)}}}},
            {"jobs": {"active_jobs": {"per": {"user": _INFINITE}}}}, {},
        ),
        "qos_jobs": (
            {"active_jobs": {"count": _number(1)}}, {"active_jobs": {"count": _INFINITE}}, {},
        ),
        "qos_cpus_per_user": (
            {"tres": {"per": {"user": _tres(cpu=2)}}}, {"tres": {"per": {"user": _tres(cpu=-1)}}},
            {"cpus_per_task": 2},
        ),
        "qos_cpus": (
            {"tres": {"total": _tres(cpu=2)}}, {"tres": {"total": _tres(cpu=-1)}},
            {"cpus_per_task": 2},
        ),
        "qos_gpus_per_user": (
            {"tres": {"per": {"user": _tres(gres_gpu=2)}}},
            {"tres": {"per": {"user": _tres(gres_gpu=-1)}}}, {"tres_per_task": "gres/gpu:3"},
        ),
        "qos_cpus_per_job": (
            {"tres": {"per": {"job": _tres(cpu=2)}}}, {"tres": {"per": {"job": _tres(cpu=-1)}}},
            {"cpus_per_task": 3},
        ),
        "qos_wall": (
            {"wall_clock": {"per": {"job": _number(10)}}},
            {"wall_clock": {"per": {"job": _INFINITE}}}, {"time_limit": _number(20)},
        ),
    }  # fmt: skip
    for name, (limit, lift, description) in most.items():
        _qos(s, "small", when=f"with {name}", limits={"max": limit})
        s.wait(1)
        s.submit(f"first_{name}", **physics)
        s.wait_for(f"first_{name}", "RUNNING")
        _waits(s, f"over_{name}", **physics, **description)
        _qos(s, "small", when=f"without {name}", limits={"max": lift})
        _let_go(s, f"over_{name}")
        s.cancel(f"first_{name}")
        s.cancel(f"over_{name}")
        s.wait(1)
    per_user = {"jobs": {"per": {"user": _number(1)}}}
    _qos(s, "small", when="with submits", limits={"max": per_user})
    s.wait(1)
    s.submit("qos_only", **physics)
    s.submit("qos_one_too_many", **physics)
    s.cancel("qos_only")
    _qos(s, "small", when="that denies", flags=["DENY_LIMIT"],
         limits={"max": {"tres": {"per": {"job": _tres(cpu=2)}}}})  # fmt: skip
    s.wait(1)
    s.submit("denied", cpus_per_task=3, **physics)
    s.submit("not_denied", cpus_per_task=2, **physics)
    s.cancel("not_denied")
    s.wait(2)
    for job in ("over_jobs", "over_gpus_per_job", "by_default", "held", "no_limit_said"):
        _read(s, f"job/{{{job}}}")
    for query in ("?start_time=uts1700000000&skip_steps&job_name=over_jobs,by_default",
                  "?start_time=uts1700000000&skip_steps&users=alice",
                  "?start_time=uts1700000000&skip_steps&account=physics&state=PENDING",
                  "?start_time=uts1700000000&skip_steps&account=nope"):  # fmt: skip
        _read(s, f"jobs/{query}")

    # What is removed while jobs use it.
    s.submit("last", **physics)
    s.wait_for("last", "RUNNING")
    _delete(s, "account/physics", when="in use")
    _delete(s, "user/daemon", when="in use")
    _delete(s, "associations/?user=daemon", when="in use")
    s.cancel("last")
    s.submit("waiting", hold=True, **physics)
    _delete(s, "user/daemon", when="with a waiting job")
    s.wait(2)
    s.get("waiting", when="without a user")
    s.cancel("waiting")
    s.wait(1)
    for noun in ("user/daemon", "user/alice", "account/physics", "account/biology", "qos/small"):
        _delete(s, noun, when="at the end")


STORIES = (accounting_tables, accounting_limits)
