"""Submitting: every form that the bridge uses, and every refusal that a user can cause."""

from tests.recording.session import Json, Scenario


def _try(s: Scenario, name: str, description: dict[str, Json]) -> None:
    answer = s.submit(name, **description)
    if answer.get("job_id"):
        s.wait(2.5)
        s.get(name)
        s.cancel(name)


def _number(value: int) -> Json:
    return {"set": True, "number": value}


def submit_forms(s: Scenario) -> None:
    """Accepted jobs, one after the other on two 8-GPU nodes and two plain ones."""
    for number in (1, 2):
        s.node(f"sg{number}", gpus=8, feature="class-a,gpu", topology=f"topo:root:sa:sleaf{number}")
    both = "count=8,name=gpu,type=h100,file=/dev/nvidia[0-7]+count=4,name=efa"
    s.node(
        "se1",
        cpus=8,
        gres="gpu:h100:8,efa:4",
        gres_conf=both,
        feature="efa",
        topology="topo:root:sa:sleaf1",
    )
    s.node("sc1", cpus=4, memory_mib=4000, feature="class-b", topology="topo:root:sa:sleaf1")
    s.node("sc2", cpus=4, memory_mib=4000, feature="class-c", topology="topo:root:sa:sleaf2")
    s.submit("counted", tres_per_task="gres/efa:3,gres/gpu:1")
    s.wait_for("counted", "RUNNING")
    s.wait(1.2)
    s.step("nodes while pieces are counted", "GET", "/nodes/")
    s.cancel("counted")
    s.wait(1)
    forms: dict[str, dict[str, Json]] = {
        "one": {},
        "memory_per_node": {
            "memory_per_cpu": None,
            "memory_per_node": _number(300),
        },
        "no_memory": {"memory_per_cpu": None},
        "gpus": {"tasks": 4, "tres_per_task": "gres/gpu:2"},
        "typed_gpus": {"tasks": 2, "cpus_per_task": 3, "tres_per_task": "gres/gpu:h100:3"},
        "two_nodes": {"tasks": 16, "tres_per_task": "gres/gpu:1"},
        "per_node": {"tasks": 2, "nodes": "2", "tres_per_node": "gres/gpu:1"},
        "per_node_gres_form": {"tres_per_node": "gpu:2"},
        "spread": {"tasks": 2, "tasks_per_node": 1, "nodes": "2"},
        "spread_gpus": {
            "tasks": 2,
            "tasks_per_node": 1,
            "nodes": "2",
            "tres_per_task": "gres/gpu:4",
        },
        "tasks_over_nodes": {"tasks": 8, "nodes": "2"},
        "tasks_over_max_nodes": {"tasks": 8, "minimum_nodes": 2, "maximum_nodes": 3},
        "constraint": {"constraints": "class-b"},
        "constraint_or": {"constraints": "class-b|class-c"},
        "constraint_paren": {"constraints": "(class-a|class-b)&gpu"},
        "exclusive": {"shared": ["none"]},
        "exclusive_gpus": {"shared": ["none"], "tres_per_task": "gres/gpu:1"},
        "excluded": {"excluded_nodes": ["sg1", "sc1"]},
        "required": {"required_nodes": ["sc2"]},
        "required_csv": {"required_nodes": ["sg2,sc2"], "tasks": 2, "nodes": "2"},
        "user": {"user_id": "1000", "group_id": "1000"},
        "user_name": {"user_id": "daemon", "group_id": "daemon"},
        "user_only": {"user_id": "1234"},
        "priority": {"priority": _number(77)},
        "limit": {"time_limit": _number(30)},
        "texts": {"comment": "c", "admin_comment": "a", "account": "acc", "qos": "q", "wckey": "w"},
        "many_cpus": {
            "tasks": 1,
            "cpus_per_task": 64,
            "memory_per_cpu": _number(1),
        },
        "no_tasks": {"tasks": None, "cpus_per_task": None},
        "unknown_field": {"bogus_field": 3},
        "efa": {"tres_per_task": "gres/gpu:2,gres/efa:1", "tasks": 2},
        "efa_only": {"tres_per_task": "gres/efa:3"},
        "efa_per_node": {"tres_per_node": "gres/efa:2,gres/gpu:h100:1"},
        "tres_mem": {"tres_per_task": "mem:100", "memory_per_cpu": None},
    }
    for name, description in forms.items():
        _try(s, name, description)


def submit_refused(s: Scenario) -> None:
    """Jobs that Slurm refuses at once."""
    s.node("sr1", cpus=4, memory_mib=4000, feature="class-b", topology="topo:root:sra:srleaf")
    s.node("sr2", cpus=8, gpus=2, feature="class-a", topology="topo:root:sra:srleaf")
    refused: dict[str, dict[str, Json]] = {
        "too_many_cpus": {"cpus_per_task": 9},
        "too_many_tasks": {"tasks": 20},
        "too_many_gpus": {"tres_per_task": "gres/gpu:3"},
        "too_much_memory": {"memory_per_cpu": _number(10_000_000)},
        "too_many_nodes": {"nodes": "5", "tasks": 5},
        "wrong_type": {"tres_per_task": "gres/gpu:a100:1"},
        "unknown_gres": {"tres_per_task": "gres/foo:1"},
        "unknown_partition": {"partition": "nope"},
        "unknown_feature": {"constraints": "class-x"},
        "known_or_unknown": {"constraints": "class-a|class-x"},
        "nested": {"constraints": "((class-a|class-b)&class-a)"},
        "counted": {"constraints": "class-a*1"},
        "features_conflict": {"constraints": "class-a&class-b"},
        "unknown_excluded": {"excluded_nodes": ["nope"]},
        "unknown_required": {"required_nodes": ["nope"]},
        "all_excluded": {"excluded_nodes": ["sr1", "sr2"]},
        "unknown_user": {"user_id": "nobody-here"},
        "unknown_account": {"account": "nope"},
        "unknown_qos": {"qos": "nope"},
        "unknown_reservation": {"reservation": "nope"},
        "unknown_license": {"licenses": "matlab:1"},
        "no_partition": {"partition": None},
        "bad_cpus": {"cpus_per_task": "many"},
        "negative_tasks": {"tasks": -1},
        "bad_nodes": {"nodes": "x-y"},
        "no_environment": {"environment": None},
        "no_directory": {"current_working_directory": None},
        "no_flag": {"flags": None},
        "unknown_flag": {"flags": ["EXTERNAL_JOB", "BOGUS"]},
        "bad_dependency": {"dependency": "afterok:nope"},
        "excluded_required": {"excluded_nodes": ["sr1"], "required_nodes": ["sr1"]},
        "held": {"hold": True},
    }
    for name, description in refused.items():
        _try(s, name, description)


def submit_beside_exclusive(s: Scenario) -> None:
    """While a job has a node for itself, a job that needs it too is an error, and queued."""
    s.node("sx1", cpus=4, topology="topo:root:sxa:sxleaf")
    s.node("sx2", cpus=4, topology="topo:root:sxa:sxleaf")
    s.submit("alone", shared=["none"])
    s.wait_for("alone", "RUNNING")
    s.submit("both", tasks=2, cpus_per_task=4)
    s.wait(2.5)
    s.get("both", when="waiting")
    s.submit("too_few_tasks", tasks=1, nodes="2")
    s.cancel("alone")
    s.wait_for("both", "RUNNING")
    s.get("both", when="running")
    s.cancel("both")
    s.wait(0.5)
    s.submit("more_than_fit", tasks=3, cpus_per_task=3)
    s.submit("odd_tasks_per_node", tasks=3, tasks_per_node=2)
    s.wait_for("odd_tasks_per_node", "RUNNING")
    s.get("odd_tasks_per_node")


STORIES = (submit_forms, submit_refused, submit_beside_exclusive)
