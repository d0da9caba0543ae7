"""The endpoints below `/slurmdb/` that read and remove. What isn't there is told in a warning, a
removal of nothing by a 304 without a word.
"""

from collections.abc import Callable, Iterable, Mapping

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.dbd import removal, show, tres
from bridge.sim.slurm.dbd.database import Condition, Database
from bridge.sim.slurm.dbd.history import History, Question
from bridge.sim.slurm.dbd.rows import Association
from bridge.sim.slurm.description import Site
from bridge.sim.slurm.errors import (
    DATA_CONVERSION,
    DATA_FLAG,
    DB_CONNECTION,
    REST_INVALID_QUERY,
    UNKNOWN_USER,
    Refused,
)
from bridge.sim.slurm.failures import pong
from bridge.sim.slurm.job import STATES
from bridge.sim.slurm.wire import Complaints, Json

NOTHING_CHANGED = Answer(304, "", plain=True)
_PORT = 6817
_FLAGS = ("skip_steps", "disable_truncate_usage_time")
"""Where any is sent, `show_duplicates` is not the default any more."""
_QUERY = "Rejecting request. Failure parsing query parameters"


class ReadApi:
    """Lists and single rows, and how they go."""

    def __init__(
        self, cluster: Cluster, database: Database, history: History, envelope: Envelope, site: Site
    ) -> None:
        self._cluster = cluster
        self._db = database
        self._history = history
        self._envelope = envelope
        self._site = site

    def no_connection(self) -> Answer:
        """What everything is answered with when the token is bad: slurmdbd lets nobody in."""
        about = "Failed to open slurmdbd connection"
        return self._envelope.refused(DB_CONNECTION, about, "openapi_get_db_conn")

    def ping(self, _: Call) -> Answer:
        """One slurmdbd, which answers."""
        return self._envelope.answer({"pings": [{**pong(None), "hostname": "127.0.0.1"}]})

    def clusters(self, _: Call) -> Answer:
        """The one that this is."""
        return self._envelope.answer({"clusters": [show.cluster(self._db, port=_PORT)]})

    def tres(self, _: Call) -> Answer:
        """All kinds that are counted."""
        return self._envelope.answer({"TRES": tres.everything(with_offset=True)})

    def accounts(self, call: Call) -> Answer:
        """All, or the one that the path names."""
        wanted = [one for name, one in sorted(self._db.accounts.items()) if _named(call, name)]
        rows = [
            show.account(one, self._db, with_associations="with_assocs" in call.query)
            for one in wanted
        ]
        return self._found("accounts", rows, "slurmdb_accounts_get()", "_dump_accounts")

    def users(self, call: Call) -> Answer:
        """All, or the one that the path names."""
        wanted = [one for name, one in sorted(self._db.users.items()) if _named(call, name)]
        rows = [
            show.user(one, self._db, with_associations="with_assocs" in call.query)
            for one in wanted
        ]
        return self._found("users", rows, "slurmdb_users_get()", "_dump_users")

    def associations(self, call: Call) -> Answer:
        """Those that fit the query."""
        complaints = Complaints()
        found = self._db.select(condition(call.query))
        rows = [show.association(one, self._db, complaints) for one in found]
        return self._found(
            "associations", rows, "slurmdb_associations_get()", "_dump_assoc_cond", complaints
        )

    def qos(self, call: Call) -> Answer:
        """All, or the one that the path names."""
        wanted = [one for one in self._db.qos.values() if _named(call, one.name)]
        rows = [show.qos(one, self._db) for one in wanted]
        return self._found("qos", rows, "slurmdb_qos_get()", "_op_handler_qos")

    def job(self, call: Call) -> Answer:
        """The runs under one number."""
        if not call.argument.isdigit():
            return self._envelope.refused(REST_INVALID_QUERY, _QUERY, "op_handler_job")
        jobs = self._history.of(int(call.argument))
        rows = [self._history.show(job, call.now) for job in jobs]
        return self._found("jobs", rows, "slurmdb_jobs_get()", "_dump_jobs")

    def jobs(self, call: Call) -> Answer:
        """Those that the query asks for."""
        complaints = Complaints()
        question = self._question(call, complaints)
        flags_unknown = any(one["error_number"] == DATA_FLAG for one in complaints.errors)
        if complaints.errors and not flags_unknown:
            complaints.error(REST_INVALID_QUERY, _QUERY, "op_handler_jobs")
            return self._envelope.answer({}, complaints, status=422)
        found = () if flags_unknown else self._history.find(question, call.now)
        rows = [self._history.show(job, call.now) for job in found]
        return self._found("jobs", rows, "slurmdb_jobs_get()", "_dump_jobs", complaints)

    def _found(
        self,
        key: str,
        rows: list[dict[str, Json]],
        asked: str,
        source: str,
        complaints: Complaints | None = None,
    ) -> Answer:
        complaints = complaints or Complaints()
        if not rows:
            complaints.warn(f"{asked} found nothing", source)
        status = 500 if complaints.errors else 200
        return self._envelope.answer({key: rows}, complaints, status=status)

    def _question(self, call: Call, complaints: Complaints) -> Question:
        """Names come in one parameter with commas, users and states in one for each."""
        users = call.every("users")
        states = call.every("state")
        for index, state in enumerate(states):
            if state.upper() not in STATES:
                source = f"#/state[{index}][0]/"
                complaints.error(DATA_FLAG, f'Unknown flag "{state}"', source)
        return Question(
            since_s=_time(call, "start_time", complaints),
            until_s=_time(call, "end_time", complaints),
            user_ids=_set(self._user(one, n, complaints) for n, one in enumerate(users)),
            accounts=_words(call, "account"),
            partitions=_words(call, "partition"),
            names=_words(call, "job_name"),
            states=frozenset(state.upper() for state in states) or None,
            last_runs=any(_flag(call, name) for name in _FLAGS)
            and not _flag(call, "show_duplicates"),
        )

    def _user(self, text: str, index: int, complaints: Complaints) -> int:
        if text.isdigit():
            return int(text)
        if text not in self._site.users:
            about = f"Unable to resolve user: {text}"
            complaints.error(UNKNOWN_USER, about, f"#/users[{index}]/")
        return self._site.users.get(text, -1)

    # -- how rows go ---------------------------------------------------------------------------

    def delete_account(self, call: Call) -> Answer:
        """An account and what is below it."""
        return self._deleted("account", "accounts", call, removal.remove_account)

    def delete_user(self, call: Call) -> Answer:
        """A user and all of it."""
        return self._deleted("user", "users", call, removal.remove_user)

    def _deleted(
        self,
        noun: str,
        nouns: str,
        call: Call,
        remove: Callable[[Database, str, frozenset[int]], bool],
    ) -> Answer:
        try:
            there = remove(self._db, call.argument, self._history.busy())
        except Refused as refused:
            about = f"slurmdb_{nouns}_remove failed"
            return self._envelope.refused(refused.number, about, f"_delete_{noun}")
        if not there:
            return NOTHING_CHANGED
        return self._envelope.answer({f"removed_{nouns}": [call.argument]})

    def delete_qos(self, call: Call) -> Answer:
        """A QOS, also one that is somebody's default."""
        if not removal.remove_qos(self._db, call.argument):
            return NOTHING_CHANGED
        self._cluster.limits_changed(call.now)
        return self._envelope.answer({"removed_qos": [call.argument]})

    def delete_associations(self, call: Call) -> Answer:
        """Those that fit the query; all, where it says nothing."""
        try:
            gone = removal.remove_associations(
                self._db, condition(call.query), self._history.busy()
            )
        except Refused as refused:
            complaints = Complaints()
            about = "slurmdb_associations_remove failed"
            complaints.error(refused.number, about, "_delete_assoc")
            return self._envelope.refused(
                refused.number, "remove associations failed", "_delete_assoc",
                complaints=complaints,
            )  # fmt: skip
        if not gone:
            return NOTHING_CHANGED
        lines = [f"C = {self._db.cluster_name:<10} {_line(one)}" for one in gone]
        return self._envelope.answer({"removed_associations": lines})


def condition(query: Mapping[str, str]) -> Condition:
    """Which associations a query means."""
    return Condition(
        account=query.get("account", ""),
        user=query.get("user", ""),
        cluster=query.get("cluster", ""),
        partition=query.get("partition", ""),
    )


def _line(one: Association) -> str:
    if one.user:
        return f"A = {one.account:<10} U = {one.user:<9}"
    return f"A = {one.account} of {one.parent}" if one.parent else f"A = {one.account}"


def _named(call: Call, name: str) -> bool:
    return call.argument in ("", name)


def _time(call: Call, name: str, complaints: Complaints) -> int | None:
    text = call.query.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("uts")
    if not digits.isdigit() or not int(digits):
        about = f"Parsing of {text} for timestamp failed"
        complaints.error(DATA_CONVERSION, about, f"#/{name}/")
        return None
    return int(digits)


def _flag(call: Call, name: str) -> bool:
    return call.query.get(name, "false") != "false"


def _words(call: Call, name: str) -> frozenset[str] | None:
    return frozenset(filter(None, call.query.get(name, "").split(","))) or None


def _set(numbers: Iterable[int]) -> frozenset[int] | None:
    return frozenset(numbers) or None
