"""What slurmdbd keeps: one module per noun, free of any REST version.

accounts · users · associations (a user in an account: shares, limits) · qos
clusters · tres · history (jobs, also those that slurmctld has forgotten)
"""

from bridge.slurm.accounting.accounts import Account
from bridge.slurm.accounting.associations import Association, AssociationLimits
from bridge.slurm.accounting.clusters import Cluster
from bridge.slurm.accounting.history import AccountedJob
from bridge.slurm.accounting.qos import Qos, QosLimits
from bridge.slurm.accounting.tres import Tres
from bridge.slurm.accounting.users import User

__all__ = [
    "Account", "User", "Association", "AssociationLimits", "Qos", "QosLimits", "Cluster", "Tres",
    "AccountedJob",
]  # fmt: skip
