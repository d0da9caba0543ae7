"""Reservations, both ways."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from bridge.slurm.reservations import Reservation, ReservationFields
from bridge.slurm.wire.many import Words
from bridge.slurm.wire.numbers import Number, optional
from bridge.slurm.wire.rows import names, rows, said


class _Reservation(BaseModel):
    name: str = Field(min_length=1)
    start_time: Number = None
    end_time: Number = None
    node_list: str = ""
    node_count: int = 0
    core_count: int = 0
    partition: str = ""
    users: str = ""
    accounts: str = ""
    features: str = ""
    licenses: str = ""
    tres: str = ""
    flags: Words = frozenset()


class ReservationWire:
    """`/reservations/`, `/reservation/{name}`, `POST /reservation`."""

    def reservations(self, answer: Mapping[str, Any]) -> tuple[Reservation, ...]:
        """All that came."""
        return tuple(
            Reservation(
                name=one.name,
                start_s=one.start_time or None,
                end_s=one.end_time or None,
                nodes=one.node_list,
                node_count=one.node_count,
                core_count=one.core_count,
                partition=one.partition,
                users=names(one.users),
                accounts=names(one.accounts),
                features=one.features,
                licenses=one.licenses,
                tres=one.tres,
                flags=one.flags,
                raw=raw,
            )
            for one, raw in rows(answer, "reservations", _Reservation)
        )

    def reservation_fields(self, name: str, fields: ReservationFields) -> dict[str, Any]:
        """Body of `POST /reservation`: makes one, or changes the one of that name."""
        lists = {
            "node_list": fields.nodes,
            "users": fields.users,
            "accounts": fields.accounts,
            "licenses": fields.licenses,
            "flags": fields.flags,
        }
        return {
            **said({key: None if many is None else list(many) for key, many in lists.items()}),
            **said(
                {
                    "name": name,
                    "start_time": optional(fields.start_s),
                    "end_time": optional(fields.end_s),
                    "duration": optional(fields.duration_min),
                    "node_count": optional(fields.node_count),
                    "partition": fields.partition,
                    "features": fields.features,
                    "comment": fields.comment,
                }
            ),
            **fields.others,
        }
