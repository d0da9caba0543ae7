"""Progress in lines, for pipes and logs (pure)."""

from bridge.sim.demo.chronicle import Chronicle, Happening


def happening(one: Happening) -> str:
    """One thing that happened."""
    return f"{one.at_s:6.1f} s  {one.workload}: {one.text}"


def state(chronicle: Chronicle) -> str:
    """How all stands."""
    counts, scene = chronicle.counts(), chronicle.scene
    held = sum(pod.gpus for pod in chronicle.sight.pods if pod.holds)
    return (
        f"{chronicle.sight.at_s:6.1f} s  -- {chronicle.done} of {len(scene.workloads)} Jobs done; "
        f"pods: {counts['gated']} gated, {counts['bound']} bound, {counts['finished']} finished; "
        f"{held} of {scene.gpus} GPUs in use"
    )
