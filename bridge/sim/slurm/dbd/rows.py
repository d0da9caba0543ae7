"""What slurmdbd keeps: accounts, users, associations, QOS."""

from dataclasses import dataclass, field

from bridge.sim.slurm.dbd.forms import Values

ROOT = "root"


@dataclass(slots=True)
class Account:
    """Its place in the tree is in its association."""

    name: str
    description: str
    organization: str


@dataclass(slots=True)
class User:
    """Known to the accounting, whatever the hosts know."""

    name: str
    level: str = "None"


@dataclass(slots=True)
class Association:
    """An account in the cluster (`user` ""), or a user in an account.

    `qos` (numbers) and `default_qos` are its own, () and 0 where those of its parent hold; so are
    `limits`, under the paths of `forms.ASSOCIATION`.
    """

    id: int
    account: str
    user: str = ""
    parent: str = ""
    """The account above an account."""
    is_default: bool = False
    shares: int = 1
    qos: tuple[int, ...] = ()
    default_qos: int = 0
    limits: Values = field(default_factory=dict)


@dataclass(slots=True)
class Qos:
    """`limits` under the paths of `forms.QOS`; `preempts` are numbers of others."""

    id: int
    name: str
    description: str = ""
    priority: int = 0
    flags: tuple[str, ...] = ()
    preempts: tuple[int, ...] = ()
    grace_s: int = 0
    usage_factor: float = 1.0
    limits: Values = field(default_factory=dict)
