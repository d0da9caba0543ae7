"""Where jobs land: packing, leaves of the tree, constraints."""

from tests.recording.session import Json, Scenario


def _gpu_nodes(s: Scenario, prefix: str, leaves: int, nodes: int) -> None:
    for leaf in range(leaves):
        for node in range(nodes):
            s.node(
                f"{prefix}{leaf}{node}",
                gpus=8,
                topology=f"topo:root:{prefix}spine{leaf // 2}:{prefix}leaf{leaf}",
            )


def _number(value: int) -> Json:
    return {"set": True, "number": value}


def _place(s: Scenario, name: str, **description: Json) -> None:
    s.submit(name, **description)
    s.wait_for(name, "RUNNING")
    s.get(name, when="placed")


def place_packed(s: Scenario) -> None:
    """Jobs that ask for parts share nodes; tasks are packed."""
    _gpu_nodes(s, "pp", 2, 2)
    _place(s, "sixteen", tasks=16, tres_per_task="gres/gpu:1")
    _place(s, "one", tres_per_task="gres/gpu:1")
    _place(s, "three", tasks=3, tres_per_task="gres/gpu:2", cpus_per_task=4)
    _place(s, "one_again", tres_per_task="gres/gpu:1")
    _place(s, "cpus_only", tasks=10, cpus_per_task=2)
    _place(s, "big_task", cpus_per_task=60)
    s.cancel("one")
    s.wait(0.5)
    _place(s, "into_the_hole", tres_per_task="gres/gpu:1")
    s.wait(1.2)
    s.step("nodes", "GET", "/nodes/")


def place_leaf(s: Scenario) -> None:
    """8 whole nodes go to the one leaf that is free, although the others have room elsewhere."""
    _gpu_nodes(s, "pl", 4, 8)
    _place(s, "busy0", tres_per_task="gres/gpu:1", required_nodes=["pl03"])
    _place(s, "busy1", tres_per_task="gres/gpu:1", required_nodes=["pl10"])
    _place(s, "busy3", tres_per_task="gres/gpu:1", required_nodes=["pl37"])
    _place(s, "gang", tasks=8, cpus_per_task=8, tres_per_task="gres/gpu:8")
    _place(s, "four", tasks=4, cpus_per_task=8, tres_per_task="gres/gpu:8")
    _place(s, "ten", tasks=10, cpus_per_task=8, tres_per_task="gres/gpu:8")
    _place(s, "small", tres_per_task="gres/gpu:1")
    _place(s, "two", tasks=2, cpus_per_task=8, tres_per_task="gres/gpu:8")


def place_leaf_by_nodes(s: Scenario) -> None:
    """What the least number of nodes, when the job says it, does to the choice of leaves."""
    whole: dict[str, Json] = {"tasks": 8, "cpus_per_task": 8, "tres_per_task": "gres/gpu:8"}
    alone: dict[str, Json] = {"tasks": 8, "tasks_per_node": 1, "shared": ["none"]}
    cases: dict[str, dict[str, Json]] = {
        "minimum": {**whole, "minimum_nodes": 8},
        "exact": {**whole, "nodes": "8"},
        "one_per_node": {**whole, "tasks_per_node": 1},
        "halves": {"tasks": 15, "tres_per_task": "gres/gpu:4", "minimum_nodes": 8},
        "halves_free": {"tasks": 15, "tres_per_task": "gres/gpu:4"},
        "too_few_said": {"tasks": 16, "tres_per_task": "gres/gpu:4", "minimum_nodes": 3},
        "ones": {"tasks": 20, "tres_per_task": "gres/gpu:1", "minimum_nodes": 3},
        "exclusive": alone,
        "exclusive_minimum": {**alone, "minimum_nodes": 8},
    }
    _gpu_nodes(s, "pn", 4, 8)
    for number, node in enumerate(("pn03", "pn10", "pn37")):
        _place(s, f"busy{number}", tres_per_task="gres/gpu:1", required_nodes=[node])
    for name, description in cases.items():
        _place(s, name, **description)
        s.cancel(name)
        s.wait(0.5)


def place_leaf_by_tasks(s: Scenario) -> None:
    """How a limit of tasks per node, and GPUs, change what Slurm thinks a leaf can take."""
    limited: dict[str, Json] = {"tasks": 4, "cpus_per_task": 32, "tasks_per_node": 1}
    gpu: dict[str, Json] = {"tres_per_task": "gres/gpu:1"}
    alone: dict[str, Json] = {"shared": ["none"]}
    _gpu_nodes(s, "pt", 4, 4)
    for number, node in enumerate(("pt03", "pt10", "pt31")):
        _place(s, f"busy{number}", cpus_per_task=40, required_nodes=[node])
    cases: dict[str, dict[str, Json]] = {
        "limited": limited,
        "limited_gpu": {**limited, **gpu},
        "limited_exclusive": {**limited, **alone},
        "exclusive_gpu": {"tasks": 4, "tasks_per_node": 1, **alone, **gpu},
        "unlimited": {"tasks": 8, "cpus_per_task": 32},
        "unlimited_exclusive": {"tasks": 8, "cpus_per_task": 32, "shared": ["none"]},
        "exclusive_few": {"tasks": 3, "cpus_per_task": 1, "shared": ["none"]},
        "odd": {"tasks": 4, "cpus_per_task": 48},
        "memory_bound": {"tasks": 8, "memory_per_cpu": _number(256_000)},
        "memory_node": {"tasks": 8, "memory_per_cpu": None, "memory_per_node": _number(511_000)},
        "two_per_node": {"tasks": 8, "cpus_per_task": 24, "tasks_per_node": 2},
    }
    for name, description in cases.items():
        _place(s, name, **description)
        s.cancel(name)
        s.wait(0.5)


def place_best_fit(s: Scenario) -> None:
    """Leaves of different size: the smallest that fits is taken."""
    sizes = (5, 2, 3, 1)
    for leaf, size in enumerate(sizes):
        for node in range(size):
            s.node(f"pb{leaf}{node}", cpus=4, topology=f"topo:root:pbs:pbleaf{leaf}")
    for tasks in (2, 1, 3, 4):
        _place(s, f"tasks{tasks}", tasks=tasks, cpus_per_task=4)
    s.cancel("tasks3")
    s.cancel("tasks2")
    s.wait(0.5)
    _place(s, "five", tasks=5, cpus_per_task=4)
    _place(s, "uneven", tasks=3, cpus_per_task=1)


def place_uneven(s: Scenario) -> None:
    """How tasks are dealt out when nodes have more room than is needed."""
    for node in range(4):
        s.node(f"pu{node}", cpus=8, topology=f"topo:root:pus:puleaf{node // 2}")
    cases: dict[str, dict[str, Json]] = {
        "six_over_two": {"tasks": 6, "nodes": "2"},
        "seven_over_three": {"tasks": 7, "nodes": "3"},
        "nine": {"tasks": 9},
        "wide_task": {"tasks": 3, "cpus_per_task": 3},
        "five_three": {"tasks": 5, "cpus_per_task": 3},
        "limited": {"tasks": 6, "tasks_per_node": 2},
        "range": {"tasks": 6, "minimum_nodes": 2, "maximum_nodes": 4},
        "max_only": {"tasks": 20, "maximum_nodes": 3},
        "exclusive_tasks": {"tasks": 3, "nodes": "3", "shared": ["none"]},
        "memory": {"tasks": 4, "memory_per_cpu": _number(200_000)},
    }
    for name, description in cases.items():
        s.submit(name, **description)
        s.wait(2.2)
        s.get(name)
        s.cancel(name)
        s.wait(0.3)


def classes(s: Scenario) -> None:
    """Class features decide per node; a class that vanishes leaves a job waiting."""
    s.node("cl1", cpus=4, feature="class-a", topology="topo:root:cla:clleaf")
    s.node("cl2", cpus=4, feature="class-b", topology="topo:root:cla:clleaf")
    s.node("cl3", cpus=4, feature="class-c", topology="topo:root:cla:clleaf")
    _place(s, "either", tasks=2, cpus_per_task=4, constraints="class-b|class-c")
    _place(s, "only_a", constraints="class-a")
    s.submit("waits", cpus_per_task=4, constraints="class-b")
    s.wait(2.5)
    s.get("waits", when="its class is busy")
    change = {"features": ["class-d"], "features_act": ["class-d"]}
    s.step("class vanishes", "POST", "/node/cl2", change)
    s.wait(2.5)
    s.get("waits", when="its class is gone")
    s.get("either", when="running on")
    s.cancel("either")
    s.wait(2.5)
    s.get("waits", when="room, but not of its class")
    s.step("new class for the job", "POST", "/job/{waits}", {"constraints": "class-d"})
    s.wait_for("waits", "RUNNING")
    s.get("waits", when="repaired")


def exclusive(s: Scenario) -> None:
    """A node of an exclusive job is nobody else's, and it needs a node that nobody has."""
    s.node("ex1", cpus=4, topology="topo:root:exa:exleaf")
    s.node("ex2", cpus=4, topology="topo:root:exa:exleaf")
    _place(s, "alone", shared=["none"])
    _place(s, "part")
    s.submit("alone_too", shared=["none"])
    s.wait(2.5)
    s.get("alone_too", when="no empty node")
    s.wait(1.2)
    s.step("node of the exclusive job", "GET", "/node/ex1")
    _place(s, "part_too")
    s.cancel("alone")
    s.wait_for("alone_too", "RUNNING")
    s.get("alone_too", when="started")


def exclusive_memory(s: Scenario) -> None:
    """Memory per CPU is counted for every CPU of an exclusive node."""
    s.node("em1", cpus=4, memory_mib=4000, topology="topo:root:ema:emleaf")
    cases: dict[str, dict[str, Json]] = {
        "per_cpu_fits": {"memory_per_cpu": _number(1000)},
        "per_cpu_too_much": {"memory_per_cpu": _number(1500)},
        "per_node": {"memory_per_cpu": None, "memory_per_node": _number(3000)},
        "whole": {"memory_per_cpu": None},
    }
    for name, description in cases.items():
        if not s.submit(name, shared=["none"], **description).get("job_id"):
            continue
        s.wait(2.5)
        s.get(name)
        s.cancel(name)
        s.wait(0.3)
    _place(s, "part")
    s.submit("all_memory", memory_per_cpu=None)
    s.wait(2.5)
    s.get("all_memory", when="some memory is taken")


STORIES = (
    place_packed,
    place_leaf,
    place_leaf_by_nodes,
    place_leaf_by_tasks,
    place_best_fit,
    place_uneven,
    classes,
    exclusive,
    exclusive_memory,
)
