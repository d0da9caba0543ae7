"""Changing jobs that wait or run."""

from tests.recording.session import Json, Scenario


def update(s: Scenario) -> None:
    """Each field the bridge changes, on a waiting and on a running job."""
    s.node("up1", cpus=4, feature="class-a", topology="topo:root:upa:upleaf")
    s.node("up2", cpus=4, feature="class-b", topology="topo:root:upa:upleaf")
    s.submit("runs", cpus_per_task=4, tasks=2)
    s.wait_for("runs", "RUNNING")
    s.submit("waits", cpus_per_task=4)
    s.wait(2)
    changes: dict[str, Json] = {
        "priority": {"priority": {"set": True, "number": 4000}},
        "constraints": {"constraints": "class-b"},
        "unknown constraints": {"constraints": "class-x"},
        "no constraints": {"constraints": ""},
        "excluded": {"excluded_nodes": ["up1"]},
        "excluded both": {"excluded_nodes": ["up1", "up2"]},
        "excluded unknown": {"excluded_nodes": ["nope"]},
        "excluded empty list": {"excluded_nodes": []},
        "excluded cleared by an empty name": {"excluded_nodes": [""]},
        "excluded again": {"excluded_nodes": ["up2"]},
        "excluded cleared by a string": {"excluded_nodes": ""},
        "limit": {"time_limit": {"set": True, "number": 5}},
        "limit infinite": {"time_limit": {"set": True, "infinite": True}},
        "comment": {"comment": "c2", "admin_comment": "a2"},
        "unknown partition": {"partition": "nope"},
        "unknown field": {"bogus": 1},
        "name": {"name": "renamed"},
        "hold": {"hold": True},
        "release": {"hold": False},
        "nothing": {},
        "tasks": {"tasks": 2},
    }
    for job in ("waits", "runs"):
        for name, change in changes.items():
            s.step(f"update {job} {name}", "POST", f"/job/{{{job}}}", change)
            s.get(job, when=f"after {name}")
    s.cancel("runs")
    s.wait(0.3)
    s.step("update ended", "POST", "/job/{runs}", {"priority": {"set": True, "number": 5}})
    s.step("update ended comment", "POST", "/job/{runs}", {"comment": "late"})
    s.step("update unknown", "POST", "/job/999999", {"comment": "x"})


STORIES = (update,)
