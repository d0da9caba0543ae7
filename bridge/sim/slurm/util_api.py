"""The endpoints below `/util/`: host lists, without slurmctld."""

from bridge.errors import BadInput
from bridge.sim.slurm import hosts
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.errors import REST_INVALID_QUERY
from bridge.sim.slurm.wire import Complaints

_INVALID_DATA = 9216


class UtilApi:
    """`/hostnames`, `/hostlist`."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    def hostnames(self, call: Call) -> Answer:
        """The names of a host list, in order."""
        text = call.body.get("hostlist") if isinstance(call.body, dict) else None
        if not isinstance(text, str):
            return self._envelope.no_dictionary()
        try:
            return self._envelope.answer({"hostnames": list(hosts.expand(text))})
        except BadInput:
            complaints = Complaints()
            complaints.error(_INVALID_DATA, f"Invalid hostlist string: {text}", "#/hostlist/")
            return self._envelope.refused(
                REST_INVALID_QUERY,
                "Rejecting request. Failure parsing request",
                "_convert_hostnames_hostlist",
                complaints=complaints,
            )

    def hostlist(self, call: Call) -> Answer:
        """The short form of names, in their order."""
        names = call.body.get("hostnames") if isinstance(call.body, dict) else None
        if not isinstance(names, list):
            return self._envelope.no_dictionary()
        return self._envelope.answer({"hostlist": hosts.compress(str(name) for name in names)})
