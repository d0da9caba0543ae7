"""Accounting: what slurmdbd knows, and changes of it.

slurmrestd answers 200 with an empty list for what isn't there, and 304 without a word for a change
that changed nothing: both are told apart here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bridge.model.ids import SlurmJobId
from bridge.slurm import answers
from bridge.slurm.accounting import (
    Account,
    AccountedJob,
    Association,
    AssociationLimits,
    Cluster,
    Qos,
    QosLimits,
    Tres,
    User,
)
from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls, Question, in_path, query, the_only
from bridge.slurm.cluster import Controller
from bridge.slurm.errors import AlreadyExists, InvalidRequest, JobNotFound, NotFound
from bridge.slurm.http import Request
from bridge.slurm.wire import Wire

_DB = "slurmdb"
_DEFAULT_ACCOUNTS = {"with_assocs": True}
"""A user's default account stands in an association, and is not told without them."""
_NO_LIMITS = AssociationLimits()
_PLAIN_QOS = QosLimits()


class AccountingCalls(Calls):
    """Paths below `/slurmdb/`; changes want a token of a Slurm operator."""

    async def list_accounting_daemons(self) -> tuple[Controller, ...]:
        """The slurmdbd, primary and backup, up or not."""
        return await self._read(
            Operation("pinging slurmdbd"),
            "/ping/",
            lambda wire, answer: wire.controllers(answer),
            plugin=_DB,
        )

    async def list_clusters(self) -> tuple[Cluster, ...]:
        """All clusters whose jobs are kept."""
        return await self._read(
            Operation("listing clusters"),
            "/clusters/",
            lambda wire, answer: wire.clusters(answer),
            plugin=_DB,
        )

    async def list_tres(self) -> tuple[Tres, ...]:
        """All kinds of resources that are counted."""
        return await self._read(
            Operation("listing TRES"),
            "/tres/",
            lambda wire, answer: wire.tres(answer),
            plugin=_DB,
        )

    # -- accounts ------------------------------------------------------------------------------

    async def list_accounts(self) -> tuple[Account, ...]:
        """All accounts."""
        return await self._read(
            Operation("listing accounts"),
            "/accounts/",
            lambda wire, answer: wire.accounts(answer),
            plugin=_DB,
        )

    async def get_account(self, name: str) -> Account:
        """One account. Raises NotFound."""
        operation = Operation(f"reading account {name}", about="account")
        found = await self._read(
            operation,
            f"/account/{in_path(name, 'account')}",
            lambda wire, answer: wire.accounts(answer),
            plugin=_DB,
        )
        return the_only(found, operation, "account")

    async def create_account(
        self,
        name: str,
        *,
        description: str = "",
        organization: str = "",
        parent: str = "",
        clusters: Sequence[str] = (),
        limits: AssociationLimits = _NO_LIMITS,
    ) -> None:
        """Make an account below `parent` (root) in the clusters (all). Raises AlreadyExists …"""
        operation = Operation(f"making account {name}", safe=False)
        try:
            await self._add(
                operation,
                "/accounts_association/",
                lambda wire: wire.new_account(
                    name,
                    description=description,
                    organization=organization,
                    parent=parent,
                    clusters=clusters,
                    limits=limits,
                ),
            )
        except NotFound as error:
            await self.get_account(name)
            raise AlreadyExists(f"{operation.tried}: there is one of that name") from error

    async def delete_account(self, name: str) -> None:
        """Remove an account and its associations. Raises NotFound."""
        await self._change(
            Operation(f"deleting account {name}", about="account"),
            "DELETE",
            f"/account/{in_path(name, 'account')}",
            plugin=_DB,
        )

    # -- users ---------------------------------------------------------------------------------

    async def list_users(self) -> tuple[User, ...]:
        """All users that the accounting knows."""
        return await self._read(
            Operation("listing users"),
            "/users/",
            lambda wire, answer: wire.users(answer),
            plugin=_DB,
            question=_DEFAULT_ACCOUNTS,
        )

    async def get_user(self, name: str) -> User:
        """One user. Raises NotFound."""
        operation = Operation(f"reading user {name}", about="user")
        found = await self._read(
            operation,
            f"/user/{in_path(name, 'user')}",
            lambda wire, answer: wire.users(answer),
            plugin=_DB,
            question=_DEFAULT_ACCOUNTS,
        )
        return the_only(found, operation, "user")

    async def add_user(
        self,
        name: str,
        account: str,
        *,
        clusters: Sequence[str] = (),
        limits: AssociationLimits = _NO_LIMITS,
    ) -> None:
        """Let a user charge jobs to an account; the first account is the default.

        Raises NotFound (account), AlreadyExists (the user is in the account).
        """
        operation = Operation(f"adding user {name} to account {account}", safe=False)
        try:
            await self._add(
                operation,
                "/users_association/",
                lambda wire: wire.new_user(name, account=account, clusters=clusters, limits=limits),
            )
        except NotFound as error:
            await self.get_account(account)
            raise AlreadyExists(f"{operation.tried}: is in it already") from error

    async def delete_user(self, name: str) -> None:
        """Remove a user and all associations of it. Raises NotFound."""
        await self._change(
            Operation(f"deleting user {name}", about="user"),
            "DELETE",
            f"/user/{in_path(name, 'user')}",
            plugin=_DB,
        )

    async def _add(
        self, operation: Operation, path: str, body: Callable[[Wire], Mapping[str, Any]]
    ) -> None:
        """What slurmrestd can't make it sometimes leaves alone, and answers 200."""
        answer, wire = await self._session.ask(
            operation, lambda wire: Request("POST", path, body(wire), plugin=_DB)
        )
        if not answers.read(answer, operation, lambda body: wire.added(answers.parsed(body))):
            raise InvalidRequest(
                f"{operation.tried}: Slurm has made nothing, and does not say why; look whether "
                "there is a QOS of the name of default_qos"
            )

    # -- associations --------------------------------------------------------------------------

    async def list_associations(
        self, *, account: str = "", user: str = "", cluster: str = "", partition: str = ""
    ) -> tuple[Association, ...]:
        """Those of an account, user …, or all."""
        return await self._read(
            Operation("listing associations"),
            "/associations/",
            lambda wire, answer: wire.associations(answer),
            plugin=_DB,
            question=_of(account=account, user=user, cluster=cluster, partition=partition),
        )

    async def update_association(self, association: Association, limits: AssociationLimits) -> None:
        """Change shares and limits of one that was listed; None is left alone.

        Slurm would make one that is gone anew, and ignores a default QOS that there isn't, so both
        are looked for first. Raises NotFound …
        """
        who = association.user or "the account"
        operation = Operation(f"updating the association of {who} in {association.account}")
        own = the_only(await self._same(association), operation, "association")
        if limits.default_qos:
            await self.get_qos(limits.default_qos)
        parent = own.account if own.user else own.parent_account
        above = await self.list_associations(account=parent, cluster=own.cluster) if parent else ()
        await self._change(
            operation,
            "POST",
            "/associations/",
            lambda wire: wire.association_changes(
                own, limits, next((one for one in above if not one.user), None)
            ),
            plugin=_DB,
        )

    async def _same(self, association: Association) -> tuple[Association, ...]:
        listed = await self.list_associations(
            account=association.account, user=association.user, cluster=association.cluster
        )
        return tuple(one for one in listed if one.id == association.id)

    async def delete_associations(
        self, *, account: str = "", user: str = "", cluster: str = "", partition: str = ""
    ) -> None:
        """Remove those that fit all of what is said. Raises NotFound when none does."""
        question = _of(account=account, user=user, cluster=cluster, partition=partition)
        operation = Operation(f"deleting associations {query(question)}", about="association")
        if not query(question):
            raise InvalidRequest(f"{operation.tried}: say of which account, user or cluster")
        await self._change(operation, "DELETE", f"/associations/{query(question)}", plugin=_DB)

    # -- QOS -----------------------------------------------------------------------------------

    async def list_qos(self) -> tuple[Qos, ...]:
        """All QOS."""
        return await self._read(
            Operation("listing QOS"), "/qos/", lambda wire, answer: wire.qos(answer), plugin=_DB
        )

    async def get_qos(self, name: str) -> Qos:
        """One QOS. Raises NotFound."""
        operation = Operation(f"reading QOS {name}", about="qos")
        found = await self._read(
            operation,
            f"/qos/{in_path(name, 'QOS')}",
            lambda wire, answer: wire.qos(answer),
            plugin=_DB,
        )
        return the_only(found, operation, "QOS")

    async def create_qos(self, name: str, limits: QosLimits = _PLAIN_QOS) -> None:
        """Make a QOS. Raises AlreadyExists …

        slurmrestd has one call for making and changing, so it is asked first.
        """
        operation = Operation(f"making QOS {name}", safe=False)
        try:
            await self.get_qos(name)
        except NotFound:
            await self._qos(operation, name, limits)
        else:
            raise AlreadyExists(f"{operation.tried}: there is one of that name")

    async def update_qos(self, name: str, limits: QosLimits) -> None:
        """Change a QOS; None is left alone. Raises NotFound …"""
        await self.get_qos(name)
        await self._qos(Operation(f"updating QOS {name}"), name, limits)

    async def _qos(self, operation: Operation, name: str, limits: QosLimits) -> None:
        await self._change(
            operation, "POST", "/qos/", lambda wire: wire.qos_changes(name, limits), plugin=_DB
        )

    async def delete_qos(self, name: str) -> None:
        """Remove a QOS. Raises NotFound."""
        await self._change(
            Operation(f"deleting QOS {name}", about="qos"),
            "DELETE",
            f"/qos/{in_path(name, 'QOS')}",
            plugin=_DB,
        )

    # -- history -------------------------------------------------------------------------------

    async def list_history(
        self,
        *,
        since_s: int,
        until_s: int | None = None,
        users: Iterable[str] = (),
        accounts: Iterable[str] = (),
        partitions: Iterable[str] = (),
        names: Iterable[str] = (),
        states: Iterable[str] = (),
    ) -> tuple[AccountedJob, ...]:
        """Jobs that were queued or ran between two times (epoch seconds; until now); of a job that
        was requeued the last run that could begin in that time.

        States are those that the jobs were in at some time between. Raises InvalidRequest for a
        user whom slurmrestd's host doesn't know.
        """
        wanted = tuple(states)
        if wanted and until_s is None:  # without an end slurmdbd finds none of them
            until_s = int(self._clock.time()) + 1
        return await self._read(
            Operation("listing the history of jobs"),
            "/jobs/",
            lambda wire, answer: wire.history(answer),
            plugin=_DB,
            question={
                "start_time": f"uts{since_s}",
                "end_time": None if until_s is None else f"uts{until_s}",
                "users": tuple(users),
                "account": ",".join(accounts),
                "partition": ",".join(partitions),
                "job_name": ",".join(names),
                "state": wanted,
                "skip_steps": True,
            },
        )

    async def get_history(self, job_id: SlurmJobId) -> AccountedJob:
        """What became of a job, also when slurmctld has forgotten it: its last run.

        slurmdbd hears of a job a moment after slurmctld. Raises JobNotFound.
        """
        operation = Operation(f"reading the history of job {job_id}", about="job")
        found = await self._read(
            operation,
            f"/job/{job_id:d}",
            lambda wire, answer: wire.history(answer),
            plugin=_DB,
        )
        runs = [one for one in found if one.id == job_id]
        if not runs:
            raise JobNotFound(f"{operation.tried}: the accounting has none of that number")
        return max(runs, key=lambda one: (one.submit_s or 0, one.restarts))


def _of(*, account: str, user: str, cluster: str, partition: str) -> Question:
    return {"account": account, "user": user, "cluster": cluster, "partition": partition}
