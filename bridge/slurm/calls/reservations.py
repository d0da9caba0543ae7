"""Reservations: nodes kept for somebody, for a time."""

import contextlib

from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls, in_path, the_only
from bridge.slurm.errno import Kind
from bridge.slurm.errors import AlreadyExists, InvalidRequest, NotFound
from bridge.slurm.reservations import Reservation, ReservationFields

_NOUN = "reservation"


class ReservationCalls(Calls):
    """`/reservations/`, `/reservation/{name}`."""

    async def list_reservations(self) -> tuple[Reservation, ...]:
        """All that have not ended."""
        try:
            return await self._read(
                Operation("listing reservations", about=_NOUN),
                "/reservations/",
                lambda wire, answer: wire.reservations(answer),
            )
        except NotFound:  # "No error", which a slurmctld says that never had one
            return ()

    async def get_reservation(self, name: str) -> Reservation:
        """One reservation. Raises NotFound."""
        operation = Operation(f"reading reservation {name}", about=_NOUN)
        found = await self._read(
            operation,
            f"/reservation/{in_path(name, _NOUN)}",
            lambda wire, answer: wire.reservations(answer),
        )
        return the_only(found, operation, _NOUN)

    async def create_reservation(self, name: str, fields: ReservationFields) -> None:
        """Make one. Raises AlreadyExists, InvalidRequest …

        slurmrestd has one call for making and changing, so it is asked first whether there is one
        of that name.
        """
        operation = Operation(f"making reservation {name}", safe=False, unspecified=Kind.INVALID)
        try:
            await self.get_reservation(name)
        except NotFound:
            pass
        else:
            raise AlreadyExists(f"{operation.tried}: there is one of that name")
        try:
            await self._change(
                operation,
                "POST",
                "/reservation",
                lambda wire: wire.reservation_fields(name, fields),
            )
        except InvalidRequest:
            # Slurm makes one in spite of a flag that it refuses.
            with contextlib.suppress(NotFound):
                await self.delete_reservation(name)
            raise

    async def update_reservation(self, name: str, fields: ReservationFields) -> None:
        """Change one; None is left alone. Raises NotFound, InvalidRequest …"""
        operation = Operation(f"updating reservation {name}", unspecified=Kind.INVALID)
        await self.get_reservation(name)
        await self._change(
            operation, "POST", "/reservation", lambda wire: wire.reservation_fields(name, fields)
        )

    async def delete_reservation(self, name: str) -> None:
        """Remove one. Raises NotFound, and InvalidRequest while jobs run in it."""
        await self._change(
            Operation(f"deleting reservation {name}", about=_NOUN),
            "DELETE",
            f"/reservation/{in_path(name, _NOUN)}",
        )
