"""The texts of a job: printable, and no longer than Slurm takes.

slurmctld refuses a job with a longer text (ESLURM_PATHNAME_TOO_LONG, 2012), and takes every
character: a line feed in a name is one in its log, in squeue and in sacct. So a text for people
(name, comment, working directory) is cut and cleaned, and one by which Slurm looks something up is
refused where its author sees it, because a part of it would name something else.
"""

from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.model import texts
from bridge.model.gang import Gang
from bridge.model.job import JobSpec

COMMENT_BYTES: Final = 1024
_NAME_BYTES: Final = 255
"""What slurmdbd keeps of a job's name; slurmctld takes more."""
_OWNER_BYTES: Final = 512
"""The owner's part of the comment, to which the shape of a mixed gang is added."""
_MOST_BYTES: Final = 1024
_MOST_DEPENDENCY_BYTES: Final = 128 * 1024
LOOKED_UP: Final = {
    "account": "account",
    "constraints": "constraints",
    "dependency": "dependency",
    "gres_per_task": "gres",
    "group": "group-id",
    "licenses": "licenses",
    "mcs_label": "",
    "partition": "partition",
    "qos": "qos",
    "reservation": "reservation",
    "tres_per_node": "gres",
    "user": "user-id",
    "wckey": "wckey",
}
"""The texts of a JobSpec by which Slurm looks something up, and the annotation of each."""


def name(gang: Gang) -> str:
    """The user's name for the job, else namespace/owner; squeue, sacct and singleton use it."""
    wished = gang.parameters.job_name
    return texts.printable(wished or f"{gang.namespace}/{gang.owner_name}", _NAME_BYTES)


def comment(gang: Gang) -> str:
    """Tells people whose job it is, even if the user has named the job."""
    return f"{texts.printable(gang.owner, _OWNER_BYTES)} of Kubernetes"


def working_directory(gang: Gang) -> str:
    """Tells whose job it is, as a path that does not exist. An owner's name has up to three parts:
    the owner, which part of it, the pod.
    """
    parts = gang.owner_name.split("/", 2)
    return texts.path(gang.namespace, gang.owner_kind.lower(), *parts)


def check(spec: JobSpec) -> None:
    """Raise BadInput for a text that Slurm would look up and that it does not take."""
    for field, suffix in LOOKED_UP.items():
        text: str = getattr(spec, field)
        most = _MOST_DEPENDENCY_BYTES if field == "dependency" else _MOST_BYTES
        if texts.printable(text, most) == text:
            continue
        key = names.JOB_PREFIX + suffix
        raise BadInput(
            f"{f'annotation {key}' if suffix else f'setting {field}'}: "
            + _why_not(field, text, most),
            field=f"metadata.annotations[{key}]" if suffix else "",
        )


def _why_not(field: str, text: str, most: int) -> str:
    if not text.isprintable():
        return f"{texts.printable(text, 60)!r} has unprintable characters; write a plain word"
    beside, advice = "", ""
    if field == "constraints":
        beside = " (with the node classes that the pods may run in)"
        advice = ", or select nodes that have more in common"
    return (
        f"the job would have {len(text.encode())} bytes of {field}{beside}, and Slurm takes at "
        f"most {most}; leave something out{advice}"
    )
