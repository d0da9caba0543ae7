"""Record slurmrestd's answers: `python -m tests.recording.slurm --url U --token-file F`.

The Slurm must be one that nobody else uses: nodes and jobs are made and removed. It is configured
as in scenarios/slurm.conf and scenarios/topology.yaml; all of it takes eleven minutes, nearly
three of them for what slurmrestd answers while slurmctld is down (with --stop and --start). The
scenarios `accounting_*` are played when they are named, to a Slurm that has what is in
scenarios/accounting.conf too.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.recording import scenarios
from tests.recording.session import Scenario, Session

OUT = Path(__file__).parents[1] / "unit" / "sim" / "recordings" / "slurm"


def main(arguments: list[str] | None = None) -> int:
    """0 when every scenario was recorded."""
    parser = argparse.ArgumentParser(prog="tests.recording.slurm", description=__doc__)
    parser.add_argument("--url", required=True, help="of slurmrestd, without a path")
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--version", default="v0.0.45")
    parser.add_argument("--out", default=OUT, type=Path)
    parser.add_argument("--stop", help="shell command that stops slurmctld")
    parser.add_argument("--start", help="shell command that starts it and waits for it")
    parser.add_argument("only", nargs="*", help="scenarios; default: all that can be played")
    chosen = parser.parse_args(arguments)
    hooks = {"stop": chosen.stop, "start": chosen.start} if chosen.stop and chosen.start else {}
    token = chosen.token_file.read_text().strip()
    session = Session(url=chosen.url, token=token, version=chosen.version, hooks=hooks)
    _, answer = session.send("GET", "/openapi/v3")
    release = answer["info"]["x-slurm"]["release"]
    _, answer = session.send("GET", "/partitions/")
    tiers = {row["name"]: row["priority"]["tier"] for row in answer["partitions"]}
    if tiers != {"slurm-bridge": 1, "high": 10}:
        parser.error(
            f"partitions and tiers are {tiers}; see scenarios/slurm.conf for what is needed"
        )
    chosen.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    playable = [
        name
        for name in scenarios.ALL
        if (hooks or name != "outage") and not name.startswith("accounting")
    ]
    for name in chosen.only or playable:
        story = scenarios.ALL[name]
        session.reset()
        scenario = Scenario(session, name=name, about=(story.__doc__ or "").strip())
        began = time.monotonic()
        try:
            story(scenario)
            path = scenario.save(chosen.out, release=release)
            print(f"{name}: {len(scenario.steps)} steps, {time.monotonic() - began:.0f} s, {path}")
        except TimeoutError as error:
            failed += 1
            scenario.save(chosen.out, release=release)
            print(f"{name}: FAILED: {error}", file=sys.stderr)
    session.reset()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
