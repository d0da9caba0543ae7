"""Who a pod would be in Slurm, as admission sees it: refusals for what is not allowed there.

A pod shows its own annotations only; those of its owner may still choose otherwise. So of a pod
with an owner only what it says itself is judged, and what no owner could mend; the controller,
which sees both, judges the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from bridge import names
from bridge.admission.accounts import Accounts
from bridge.errors import BadInput
from bridge.gangs import annotations
from bridge.jobs import allowance, identity
from bridge.model.gang import JobParameters
from bridge.model.namespace import Namespace
from bridge.model.refusal import Refusal


class KnownAccounts(Protocol):
    """Where the newest look at slurmdbd is found."""

    known: Accounts

    def trigger(self) -> None:
        """Have it looked at again soon."""


class NothingKnown:
    """Where nobody asks slurmdbd."""

    known = Accounts()

    def trigger(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class IdentityValidator:
    """The settings' part, and the accounts."""

    rules: identity.Rules = identity.Rules()
    partition: str = ""
    """Of jobs whose pods and namespaces name none."""
    associations: KnownAccounts = NothingKnown()

    def refusals(
        self, chosen: Mapping[str, str], namespace: Namespace, *, owned: bool
    ) -> Iterator[Refusal]:
        """Why a pod with these annotations can't be in Slurm who it would be. Malformed
        parameters are told elsewhere."""
        try:
            keys = names.IDENTITY_PARAMETERS & chosen.keys()
            parameters = annotations.parse({key: chosen[key] for key in keys})
        except BadInput:
            return
        rules = self.rules
        if owned and rules.pods_choose_user:
            rules = replace(rules, required=False)
        objections = identity.objections(namespace, parameters, rules)
        yield from (_refusal(error) for error in objections)
        if not objections:
            yield from self._not_in_slurm(parameters, namespace, rules, owned=owned)

    def _not_in_slurm(
        self, parameters: JobParameters, namespace: Namespace, rules: identity.Rules, *, owned: bool
    ) -> Iterator[Refusal]:
        may, who = allowance.of(namespace), identity.of(namespace, parameters, rules)
        if owned and not parameters.partition:
            who = replace(who, partition="")
        elif not who.partition:
            who = replace(who, partition=self.partition)
        objection = self.associations.known.objection(
            who,
            accounts=_choice(parameters.account, who.account, may.accounts, owned=owned),
            qos=_choice(parameters.qos, who.qos, may.qos, owned=owned),
            default_counts=not owned,
        )
        if objection is not None:
            self.associations.trigger()  # it may have been mended since the last look
            field = f"metadata.annotations[{names.JOB_PREFIX}{objection.suffix}]"
            yield Refusal(field if objection.suffix else "metadata.namespace", objection.message)


def _choice(said: str, settled: str, allowed: tuple[str, ...], *, owned: bool) -> tuple[str, ...]:
    """What it may come to: an owner can still name any that is allowed."""
    if owned and not said:
        return allowed
    return (settled,) if settled else ()


def _refusal(error: BadInput) -> Refusal:
    suffix = error.field.removeprefix("metadata.annotations[").removesuffix("]")
    return Refusal(error.field, str(error).removeprefix(f"annotation {suffix}: "))
