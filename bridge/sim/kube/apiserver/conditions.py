"""matchConditions: CEL expressions that say which requests a webhook is asked about.

All are evaluated, as in the real API server: one that is false means no call, whatever becomes of
the others; otherwise one that fails is a failure, and failurePolicy says what follows. Not there:
`authorizer`, Kubernetes' own CEL functions, optional fields (`.?`), the limit on costs, and the
check of types when the configuration is written.
"""

from collections.abc import Sequence

import cel

from bridge.errors import BridgeError
from bridge.sim.kube.apiserver.failure import Cause, duplicate_value, invalid_value, required_value
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules import syntax


class ConditionFailed(BridgeError):
    """An expression has no value for this request."""

    def __init__(self, expression: str, why: object) -> None:
        super().__init__(f"expression '{expression}' resulted in error: {why}")


class Conditions:
    """Evaluates conditions; each expression is compiled once."""

    def __init__(self) -> None:
        self._programs: dict[str, cel.Program] = {}

    def hold(self, given: Sequence[Object], variables: Object) -> bool:
        """Whether all of a webhook's conditions hold for `variables`. Raises ConditionFailed."""
        if not given:
            return True
        context = cel.Context(variables=variables)
        failed: ConditionFailed | None = None
        for condition in given:
            try:
                if not self._evaluate(condition["expression"], context):
                    return False
            except ConditionFailed as problem:
                failed = failed or problem
        if failed is not None:
            raise failed
        return True

    def _evaluate(self, expression: str, context: cel.Context) -> bool:
        try:
            if expression not in self._programs:
                self._programs[expression] = cel.compile(expression)
            value = self._programs[expression].execute(context)
        except Exception as problem:  # the library raises what Python has for each mistake
            raise ConditionFailed(expression, problem) from problem
        if not isinstance(value, bool):
            raise ConditionFailed(expression, "its value is no bool")
        return value


def validate(given: Sequence[Object], path: str) -> list[Cause]:
    """What is wrong with the conditions of a webhook that stand at `path`."""
    causes: list[Cause] = []
    names: set[str] = set()
    for index, condition in enumerate(given):
        here, name = f"{path}[{index}]", condition.get("name") or ""
        expression = (condition.get("expression") or "").strip()
        if not expression:
            causes.append(required_value(f"{here}.expression"))
        else:
            causes += _compiled(expression, f"{here}.expression")
        if not name:
            causes.append(required_value(f"{here}.name"))
        else:
            causes += syntax.qualified_name(f"{here}.name", name)
        if name in names:
            causes.append(duplicate_value(f"{here}.name", name))
        names |= {name} - {""}
    return causes


def _compiled(expression: str, field: str) -> list[Cause]:
    try:
        cel.compile(expression)
    except ValueError as problem:
        return [invalid_value(field, expression, f"compilation failed: {problem}")]
    return []
