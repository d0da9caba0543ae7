"""What slurmdbd lets a user do, as a reason to refuse."""

import pytest

from bridge.admission.accounts import Accounts
from bridge.jobs.identity import Identity
from bridge.slurm import Association, AssociationLimits


def row(
    account: str, *, default: bool = False, partition: str = "", qos: str = "normal"
) -> Association:
    return Association(
        id=1,
        cluster="c",
        account=account,
        user="alice",
        partition=partition,
        is_default=default,
        limits=AssociationLimits(qos=tuple(filter(None, qos.split(",")))),
    )


def accounts(*rows: Association, qos_enforced: bool = True) -> Accounts:
    return Accounts(of_user={"alice": rows}, qos_enforced=qos_enforced)


PHYSICS = row("physics", default=True, qos="normal,high")
CHEM = row("chem")
ALICE = Identity(user="alice", group="hpc", partition="gpu")


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (accounts(PHYSICS), {}),
        (accounts(PHYSICS, CHEM), {"accounts": ("chem",)}),
        (accounts(PHYSICS), {"accounts": ("biology", "physics")}),
        (accounts(PHYSICS), {"accounts": ("PHYSICS",)}),
        (accounts(PHYSICS), {"qos": ("high",)}),
        (accounts(PHYSICS), {"qos": ("HIGH",)}),
        (accounts(CHEM), {"default_counts": False}),
        (accounts(row("chem", partition="gpu")), {"accounts": ("chem",)}),
        (accounts(PHYSICS, qos_enforced=False), {"qos": ("other",)}),
        (accounts(row("physics", qos="")), {"accounts": ("physics",), "qos": ("other",)}),
        (Accounts(), {"accounts": ("nonsense",), "qos": ("nonsense",)}),
    ],
)
def test_what_slurm_would_take(known: Accounts, asked: dict[str, tuple[str, ...]]) -> None:
    """Names in any case, as Slurm has it; what is not known or not enforced is no reason."""
    assert known.objection(ALICE, **asked) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("known", "asked", "suffix", "words"),
    [
        (accounts(), {}, "", "user alice, who has no account. Ask a Slurm admin"),
        (
            accounts(row("chem", partition="cpu")),
            {"accounts": ("chem",)},
            "",
            "who has no account for partition gpu",
        ),
        (
            accounts(PHYSICS, CHEM),
            {"accounts": ("biology",)},
            "account",
            "in account biology. The user's accounts are chem, physics: name one of them in "
            "annotation slurmjob.slinky.slurm.net/account",
        ),
        (accounts(CHEM), {}, "account", "in the default account, which is not set. The user's"),
        (
            accounts(PHYSICS),
            {"qos": ("urgent",)},
            "qos",
            "refuses QOS urgent to user alice in account physics. Name one of high, normal",
        ),
        (
            accounts(PHYSICS, CHEM),
            {"accounts": ("chem",), "qos": ("high",)},
            "qos",
            "refuses QOS high to user alice in account chem. Name one of normal",
        ),
    ],
)
def test_what_slurm_would_refuse(
    known: Accounts, asked: dict[str, tuple[str, ...]], suffix: str, words: str
) -> None:
    """With what the user has instead."""
    found = known.objection(ALICE, **asked)  # type: ignore[arg-type]
    assert found is not None
    assert found.suffix == suffix
    assert words in found.message


def test_users_without_a_name() -> None:
    """Nobody, or a number, is not looked up."""
    for user in ("", "1001", "bob"):
        assert accounts().objection(Identity(user=user), accounts=("x",)) is None
