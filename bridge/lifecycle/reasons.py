"""Slurm's words for why a job waits, in words for people who never ran squeue.

Slurm has some two hundred reasons, most of them one scheme: whose limit (an association's or a
QOS's), over what (all its jobs together, one user, one job, one node), of which resource, and
whether it is an amount or minutes of it. So these are read, not listed. The names are those in
Slurm 26.05; one that is not known has no explanation here, and Slurm's own word stands alone.
"""

import re
from collections.abc import Mapping

_LIMIT = re.compile(
    r"(?P<whose>Assoc|QOS)(?P<over>Grp|Max|Min)"
    r"(?P<what>BB|Billing|CPU|Cpu|Energy|GRES|License|Memory|Mem|Node|Unknown"
    r"|SubmitJobs|SubmitJob|Jobs|WallDuration|Wall)"
    r"(?P<minutes>RunMinutes|Minutes)?(?P<per>PerJob|PerNode|PerUser|PerAccount)?"
    r"(?:Limit|NotSatisfied)?"
)
_WHAT: Mapping[str, str] = {
    "BB": "burst buffer", "Billing": "billing units", "CPU": "CPUs", "Cpu": "CPUs",
    "Energy": "energy", "GRES": "GPUs or other devices", "License": "licenses", "Memory": "memory",
    "Mem": "memory", "Node": "nodes", "Unknown": "resources", "Jobs": "running jobs",
    "SubmitJobs": "queued and running jobs", "SubmitJob": "queued and running jobs",
    "Wall": "time", "WallDuration": "time",
}  # fmt: skip
_WHEN = "it starts when other jobs under this limit end"
_ONE_JOB = "it never starts as it is: ask for less, or have the limit raised"

_OTHERS: Mapping[str, str] = {
    "InvalidAccount": "Slurm no longer lets its user charge its account; it never starts as it is: "
    "name another account, or ask a Slurm admin",
    "AccountNotAllowed": "its account may not use this partition; it never starts as it is: name "
    "another account or partition",
    "InvalidQOS": "Slurm has no such QOS for its account; it never starts as it is: name another "
    "QOS, or ask a Slurm admin",
    "QOSNotAllowed": "its QOS may not be used in this partition; it never starts as it is: name "
    "another QOS or partition",
    "AccountingPolicy": "a limit of its account, user or QOS is reached",
    "AssociationJobLimit": "its user or account has as many jobs as it may",
    "AssociationResourceLimit": "its user or account uses all that it may",
    "AssociationTimeLimit": "its user or account has used up its time",
    "QOSJobLimit": "its QOS has as many jobs as it may",
    "QOSResourceLimit": "its QOS uses all that it may",
    "QOSTimeLimit": "its QOS has used up its time",
    "QOSUsageThreshold": "its user's fair share is below what this QOS asks for",
    "PartitionTimeLimit": "it asks for more time than the partition allows; " + _ONE_JOB,
    "PartitionNodeLimit": "it asks for more (or fewer) nodes than the partition allows; "
    + _ONE_JOB,
    "PartitionDown": "an admin has stopped this partition",
    "PartitionInactive": "an admin has stopped this partition",
    "JobHeldAdmin": "an admin holds it (scontrol release ends the hold)",
    "JobHeldUser": "its user holds it (scontrol release ends the hold)",
}


_RESERVED = (
    "the nodes that it could have are reserved from some time on (for maintenance, or because they "
    "cease to exist then), and its time limit reaches beyond that; it starts when the reservation "
    "is over, on other nodes, or with a shorter time limit"
)


def explained(reason: str, description: str = "") -> str:
    """The explanation, a clause without its full stop; "" if none is needed or the reason is
    unknown. `description`: Slurm's longer words for the reason."""
    if reason == "ReqNodeNotAvail":
        return _RESERVED if "eserved" in description else ""
    return _OTHERS.get(reason) or _limit(reason)


def _limit(reason: str) -> str:
    found = _LIMIT.fullmatch(reason)
    if found is None:
        return ""
    whose = "its QOS" if found["whose"] == "QOS" else "its user or account"
    what, per = _WHAT[found["what"]], found["per"] or ""
    if found["minutes"]:
        return _minutes(whose, what, found["minutes"], per)
    if found["over"] == "Min":
        return f"it asks for fewer {what} than {whose} requires of a job; ask for more"
    if per in ("PerJob", "PerNode") or (what, found["over"]) == ("time", "Max"):
        return f"it asks for more {what} than {whose} allows one job; {_ONE_JOB}"
    if per:
        who = "user" if per == "PerUser" else "account"
        return f"its {who} has all the {what} that {whose} allows one {who}; {_WHEN}"
    if what == "time":
        return f"{whose} has used up its time; it starts when an admin grants more or usage decays"
    return f"{whose} has all the {what} that it may; {_WHEN}"


def _minutes(whose: str, what: str, minutes: str, per: str) -> str:
    """Amounts times minutes: a budget (…Minutes), what running jobs may still use of one
    (…RunMinutes), or what one job may."""
    if per:
        return f"{what} times its time limit is more than {whose} allows one job; {_ONE_JOB}"
    if minutes == "RunMinutes":
        return (
            f"the running jobs of {whose} may still use all the minutes of {what} that it is "
            f"allowed at a time; {_WHEN}"
        )
    return (
        f"{whose} has used up its minutes of {what}; it starts when an admin grants more or usage "
        "decays"
    )
