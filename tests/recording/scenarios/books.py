"""Requests to slurmdbd, for the scenarios that need one (scenarios/accounting.conf)."""

from tests.recording.session import Json, Scenario

ASSOCIATIONS = "/slurmdb/v0.0.45/associations/"
NEW_ACCOUNT = "/slurmdb/v0.0.45/accounts_association/"
NEW_USER = "/slurmdb/v0.0.45/users_association/"
QOS = "/slurmdb/v0.0.45/qos/"
CLUSTER = "trial"
ENFORCED = ["limits", "qos"]
INFINITE = {"set": False, "infinite": True, "number": 0}


def read(s: Scenario, path: str, *, when: str = "") -> Json:
    """What slurmdbd says of something."""
    return s.step(f"read {path} {when}".strip(), "GET", f"/slurmdb/v0.0.45/{path}")


def delete(s: Scenario, path: str, *, when: str = "") -> Json:
    """Remove something."""
    return s.step(f"delete {path} {when}".strip(), "DELETE", f"/slurmdb/v0.0.45/{path}")


def number(value: float) -> Json:
    """A number that is set."""
    return {"set": True, "infinite": False, "number": value}


def tres(**counts: int) -> Json:
    """`gres_gpu` is gres/gpu."""
    return [
        {"type": name.partition("_")[0], "name": name.partition("_")[2], "count": count}
        for name, count in counts.items()
    ]


def nested(path: str, value: Json) -> Json:
    """A value under a path of words."""
    for key in reversed(path.split()):
        value = {key: value}
    return value


def account(s: Scenario, name: str, *, when: str = "", **limits: Json) -> Json:
    """A new account."""
    condition = {"accounts": [name], "clusters": [], "association": limits}
    body = {
        "association_condition": condition,
        "account": {"description": f"all of {name}", "organization": "uni"},
    }
    return s.step(f"account {name} {when}".strip(), "POST", NEW_ACCOUNT, body)


def user(s: Scenario, name: str, account: str, *, when: str = "", **limits: Json) -> Json:
    """A user in an account."""
    condition = {
        "accounts": [account], "clusters": [], "users": [name], "association": limits,
    }  # fmt: skip
    body: Json = {"association_condition": condition, "user": {}}
    return s.step(f"user {name} in {account} {when}".strip(), "POST", NEW_USER, body)


def change(s: Scenario, name: str, user: str, account: str, **fields: Json) -> Json:
    """Change the association of a user ("": the account's own)."""
    row = {"account": account, "cluster": CLUSTER, "user": user, **fields}
    return s.step(name, "POST", ASSOCIATIONS, {"associations": [row]})


def qos(s: Scenario, name: str, *, when: str = "", **fields: Json) -> Json:
    """Make or change a QOS."""
    return s.step(f"qos {name} {when}".strip(), "POST", QOS, {"qos": [{"name": name, **fields}]})
