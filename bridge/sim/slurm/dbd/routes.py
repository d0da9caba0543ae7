"""slurmdbd as a whole: its tables, the policy that slurmctld asks, the endpoints."""

from collections.abc import Callable

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.dbd.adding import AddingApi
from bridge.sim.slurm.dbd.api import ReadApi
from bridge.sim.slurm.dbd.changing import ChangingApi
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.dbd.history import History
from bridge.sim.slurm.dbd.shares import SharesApi
from bridge.sim.slurm.description import Site

Route = tuple[str, str, str, Callable[[Call], Answer]]


class Accounting:
    """The accounting of one cluster, whose jobs it begins to write down."""

    def __init__(
        self, cluster: Cluster, database: Database, envelope: Envelope, site: Site
    ) -> None:
        history = History(cluster, cluster_name=database.cluster_name, speaker=site.user)
        self._read = ReadApi(cluster, database, history, envelope, site)
        self._adding = AddingApi(database, envelope)
        self._changing = ChangingApi(cluster, database, envelope)
        self._shares = SharesApi(database, envelope)

    def no_connection(self) -> Answer:
        """To a token that is not valid."""
        return self._read.no_connection()

    def routes(self) -> tuple[Route, ...]:
        """Plugin, method, path, handler."""
        read, adding, changing = self._read, self._adding, self._changing
        table: tuple[tuple[str, str, Callable[[Call], Answer]], ...] = (
            ("GET", "/ping/", read.ping),
            ("GET", "/clusters/", read.clusters),
            ("GET", "/tres/", read.tres),
            ("GET", "/accounts/", read.accounts),
            ("GET", "/account/{account_name}", read.accounts),
            ("DELETE", "/account/{account_name}", read.delete_account),
            ("POST", "/accounts_association/", adding.accounts),
            ("GET", "/users/", read.users),
            ("GET", "/user/{name}", read.users),
            ("DELETE", "/user/{name}", read.delete_user),
            ("POST", "/users_association/", adding.users),
            ("GET", "/associations/", read.associations),
            ("POST", "/associations/", changing.associations),
            ("DELETE", "/associations/", read.delete_associations),
            ("GET", "/qos/", read.qos),
            ("GET", "/qos/{qos}", read.qos),
            ("POST", "/qos/", changing.qos),
            ("DELETE", "/qos/{qos}", read.delete_qos),
            ("GET", "/jobs/", read.jobs),
            ("GET", "/job/{job_id}", read.job),
        )
        return (
            ("slurm", "GET", "/shares", self._shares.shares),
            *(("slurmdb", *row) for row in table),
        )
