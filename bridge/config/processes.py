"""Settings of the bridge as several processes: who leads, how they reach each other, where people
ask."""

from typing import Self

from pydantic import Field, model_validator

from bridge.config.forms import Address, AddressOrNone
from bridge.config.section import Section


class LeaderSettings(Section):
    """Which of several controllers acts: the holder of a Lease. `slurm-bridge run` needs none."""

    lease_name: str = Field(default="slurm-bridge-controller", min_length=1)
    """Name of the Lease."""
    lease_namespace: str = ""
    """Namespace of the Lease; "" takes the namespace of the pod that the process runs in."""
    lease_duration_s: int = Field(default=3, ge=1)
    """If the Lease was not renewed for so long, in seconds, another controller takes over."""
    renew_deadline_s: float = Field(default=2.0, gt=0)
    """If a controller could not renew the Lease for so long, in seconds, it stops acting; less than
    `leaseDurationS`."""
    retry_interval_s: float = Field(default=0.4, gt=0)
    """Time between two looks at the Lease, and between two renewals, in seconds; well below
    `renewDeadlineS`."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.retry_interval_s < self.renew_deadline_s < self.lease_duration_s:
            raise ValueError(
                "retryIntervalS must be less than renewDeadlineS, and that less than leaseDurationS"
            )
        return self


class RpcSettings(Section):
    """How the bridge's own processes reach each other (gRPC with mutual TLS). Their certificates
    are those of `server.certificateDir`: client.crt and client.key, or tls.crt and tls.key if it
    has no client.crt; both sides must be signed by its ca.crt."""

    listen: Address = "[::]:9444"
    """host:port that the controller listens on."""
    advertise: str = ""
    """Host (a name or an IP address) at which the other processes reach this controller; "" takes
    $POD_IP, then the host's name."""
    server_name: str = Field(default="slurm-bridge.slurm-bridge.svc", min_length=1)
    """Name for which the controller's certificate must be."""


class ApiSettings(Section):
    """Where people and programs ask the bridge (`slurm-bridge explain`, `slurm-bridge queue`), by
    gRPC with TLS. The server's certificate is that of `server.certificateDir`; callers show a
    Kubernetes token."""

    listen: Address = "[::]:9445"
    """host:port that the controller listens on."""
    server: AddressOrNone = ""
    """Of the commands: host:port at which they ask the bridge."""
    ca_file: str = ""
    """Of the commands: CA of the bridge's certificate, as PEM; "" takes ca.crt of
    `server.certificateDir`, or the system's authorities if that is not set."""
    server_name: str = ""
    """Of the commands: the name for which the bridge's certificate must be; "" takes the host of
    `server`."""
