"""The shipped Slurm Prolog, with a kubectl that is played; real ones: tests/flows/test_hybrid."""

import subprocess
from pathlib import Path

import pytest

PROLOG = Path(__file__).parents[3] / "deploy" / "prolog" / "slurm-bridge-prolog"
KUBECTL = """#!/bin/sh
echo "$*" >>{folder}/asked
case "$*" in
*whoami*) cat {folder}/whoami ;;
*"get nodes"*) cat {folder}/nodes ;;
*"get pods"*)
	[ ! -e {folder}/away ] || {{ echo "connection refused" >&2; exit 1; }}
	cat {folder}/pods
	[ -e {folder}/stay ] || : >{folder}/pods # the pods end after the first look
	;;
esac
"""


CLOCK = """
played_s=0
date() { [ "$1" != +%s ] && command date "$@" || echo "$played_s"; }
sleep() { played_s=$((played_s + $1)); }
"""
"""Time in which only its sleeps pass, however busy the machine is."""


class Host:
    """A host with a kubelet, and what its API server says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "kubectl").write_text(KUBECTL.format(folder=folder))
        (folder / "kubectl").chmod(0o755)
        self.says(whoami="system:node:n1", nodes="", pods="")

    def says(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.folder / name).write_text(text)

    def run(self, *settings: str) -> tuple[int, str]:
        """The Prolog's exit code, and what it said."""
        standard = (f"kubectl={self.folder}/kubectl", f"kubeconfig={self.folder}/config",
                    f"log={self.folder}/log", "settle_s=0", "wait_s=1",
                    "unasked_wait_s=1")  # fmt: skip
        conf = self.folder / "conf"
        conf.write_text("\n".join((*standard, *settings, CLOCK)))
        known = {"SLURMD_NODENAME": "slurm-n1", "SLURM_JOB_ID": "7"}
        done = subprocess.run(
            [str(PROLOG), str(conf)], env=known, capture_output=True, text=True, check=False,
            timeout=30,
        )  # fmt: skip
        assert not done.stderr
        return done.returncode, done.stdout

    @property
    def asked(self) -> str:
        """What kubectl was asked."""
        return (self.folder / "asked").read_text()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_free_node_starts_its_job_without_a_word(host: Host) -> None:
    """Only pods of the bridge on this very node count, and only those that are not over."""
    assert host.run() == (0, "")
    assert "-l scheduler.slinky.slurm.net/slurm-jobid" in host.asked
    wanted = "spec.nodeName=n1,status.phase!=Succeeded,status.phase!=Failed"
    assert wanted in host.asked
    assert not (host.folder / "log").exists()


def test_pods_are_waited_for_and_named(host: Host) -> None:
    """In the log, too, which names the job and the node."""
    host.says(pods="team/web team/train-0 ")
    code, said = host.run("wait_s=20")
    assert code == 0
    waits, starts = said.splitlines()
    assert waits.startswith("slurm-bridge-prolog: job 7 on slurm-n1: waiting for the end of pods")
    assert waits.endswith("on node n1: team/web team/train-0 ")
    assert starts.endswith("no pod of slurm-bridge is left on node n1: the job starts")
    assert len((host.folder / "log").read_text().splitlines()) == 2


def test_pods_that_stay_fail_the_job_in_the_end(host: Host) -> None:
    """Slurm then drains the node: its GPUs are still in use."""
    host.says(pods="team/web ", stay="")
    code, said = host.run()
    assert code == 1
    *_, last = said.splitlines()
    assert "waiting for the end of pods on node n1: team/web (after 1 s)" in last
    assert last.endswith("gave up: Slurm drains the node and requeues the job")


def test_without_an_answer_the_job_fails_unless_the_admin_says_otherwise(host: Host) -> None:
    """For as long as it takes an API server to come back, it is asked again."""
    host.says(away="")
    code, said = host.run()
    assert code == 1
    assert "does not say which pods are on the node: connection refused" in said
    code, said = host.run("start_unasked=yes")
    assert code == 0
    assert "the job starts, as start_unasked says" in said


@pytest.mark.parametrize(
    ("said", "settings", "node"),
    [
        ({"whoami": "system:serviceaccount:slurm:prolog", "nodes": "n2"}, (), "n2"),
        ({"whoami": "system:serviceaccount:slurm:prolog"}, (), "slurm-n1"),
        ({}, ("node=$SLURMD_NODENAME.internal",), "slurm-n1.internal"),
    ],
)
def test_the_nodes_name_in_kubernetes_is_found(
    host: Host, said: dict[str, str], settings: tuple[str, ...], node: str
) -> None:
    """By the kubelet's own name; with another identity by the label, else it is Slurm's."""
    host.says(**said)
    assert host.run(*settings) == (0, "")
    assert f"spec.nodeName={node}," in host.asked


def test_a_host_without_a_kubelet_is_not_held_up(host: Host) -> None:
    """slurm.conf names one Prolog for all nodes."""
    assert host.run("kubeconfig=") == (0, "")
    assert not (host.folder / "asked").exists()
