"""Progress in lines, for pipes and logs (pure)."""

from bridge.sim.demo.timeline import Happening, Timeline


def happening(one: Happening) -> str:
    """One thing that happened."""
    return f"{one.at_s:6.1f} s  {one.workload}: {one.text}"


def state(timeline: Timeline) -> str:
    """How all stands."""
    counts, scenario = timeline.counts(), timeline.scenario
    total = len(scenario.workloads)
    held = sum(pod.gpus for pod in timeline.snapshot.pods if pod.holds)
    return (
        f"{timeline.snapshot.at_s:6.1f} s  -- {timeline.done} of {total} Jobs done; "
        f"pods: {counts['gated']} gated, {counts['bound']} bound, {counts['finished']} finished; "
        f"{held} of {scenario.gpus} GPUs in use"
    )
