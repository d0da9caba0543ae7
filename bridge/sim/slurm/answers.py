"""Requests and answers of slurmrestd, and the envelope that all answers share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from multidict import MultiMapping

from bridge.sim.slurm.errors import DATA_NOT_A_DICTIONARY, DATA_PATH, REST_INVALID_QUERY, status_of
from bridge.sim.slurm.wire import Complaints, Json


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart: `path` stands behind `/slurm/<version>`, `argument` is the id or
    name in it ("" for none).
    """

    method: str
    path: str
    argument: str
    query: Mapping[str, str]
    body: Json
    now: float

    def every(self, name: str) -> list[str]:
        """All values of a parameter that may come several times."""
        if isinstance(self.query, MultiMapping):
            return list(self.query.getall(name, ()))
        return [self.query[name]] if name in self.query else []


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is JSON text, or plain text where `plain` is set."""

    status: int
    body: str
    plain: bool = False


class Envelope:
    """Wraps contents as slurmrestd does: meta, errors, warnings."""

    def __init__(self, cluster_name: str) -> None:
        self.meta: dict[str, Json] = {
            "plugin": {
                "type": "openapi/slurmctld",
                "name": "Slurm OpenAPI slurmctld",
                "data_parser": "data_parser/v0.0.45",
                "accounting_storage": "",
            },
            "client": {"source": "127.0.0.1", "user": "root", "group": "root"},
            "command": [],
            "slurm": {
                "version": {"major": "26", "micro": "5", "minor": "05"},
                "release": "26.05.5",
                "cluster": cluster_name,
            },
        }

    def answer(
        self,
        content: dict[str, Json],
        complaints: Complaints | None = None,
        *,
        status: int = 200,
    ) -> Answer:
        """An answer with what there is to complain about."""
        complaints = complaints or Complaints()
        body = {
            **content,
            "meta": self.meta,
            "errors": complaints.errors,
            "warnings": complaints.warnings,
        }
        return Answer(status, json.dumps(body))

    def refused(
        self,
        number: int,
        about: str,
        source: str,
        *,
        content: dict[str, Json] | None = None,
        complaints: Complaints | None = None,
    ) -> Answer:
        """An answer with one more error; the parser's own errors decide the status."""
        complaints = complaints or Complaints()
        parser_failed = any(error["error_number"] >= DATA_PATH for error in complaints.errors)
        complaints.error(number, about, source)
        status = 500 if parser_failed else status_of(number)
        return self.answer(content or {}, complaints, status=status)

    def bad_id(self, source: str = "op_handler_job") -> Answer:
        """A job id that is no number."""
        about = "Rejecting request. Failure parsing parameters"
        return self.refused(REST_INVALID_QUERY, about, source)

    def no_dictionary(self) -> Answer:
        """A body that is no object."""
        about = "Rejecting list when dictionary expected"
        return self.refused(DATA_NOT_A_DICTIONARY, about, "#/")
