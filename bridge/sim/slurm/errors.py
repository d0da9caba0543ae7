"""What Slurm refuses: its error numbers and sentences, as the real daemons said them."""

from typing import Final

NOT_PERMITTED: Final = 1
INVALID_ARGUMENT: Final = 22
UNSPECIFIED: Final = -1
NO_ERROR: Final = 0
UNEXPECTED_MESSAGE: Final = 1000
PROTOCOL_AUTHENTICATION: Final = 1007
UNABLE_TO_CONTACT_CONTROLLER: Final = 1800
INVALID_PARTITION: Final = 2000
USER_ID_MISSING: Final = 2010
NODE_COUNT: Final = 2006
NODE_CONFIGURATION_UNAVAILABLE: Final = 2014
NODES_BUSY: Final = 2016
INVALID_JOB_ID: Final = 2017
INVALID_NODE_NAME: Final = 2018
JOB_NOT_ALTERABLE: Final = 2020
ALREADY_DONE: Final = 2021
JOB_PENDING: Final = 2024
BAD_TASK_COUNT: Final = 2025
INVALID_NODE_STATE: Final = 2028
INVALID_FEATURE: Final = 2029
NOT_SUPPORTED: Final = 2036
DISABLED: Final = 2037
DEPENDENCY: Final = 2038
BATCH_ONLY: Final = 2039
INVALID_ACCOUNT: Final = 2045
INVALID_PARENT_ACCOUNT: Final = 2046
INVALID_LICENSES: Final = 2048
ACCOUNTING_POLICY: Final = 2050
RESERVATION_ACCESS: Final = 2052
INVALID_RESERVATION: Final = 2053
INVALID_TIME: Final = 2054
RESERVATION_BUSY: Final = 2055
RESERVATION_OVERLAP: Final = 2058
INVALID_QOS: Final = 2066
INVALID_GRES: Final = 2072
JOB_NOT_PENDING: Final = 2073
JOB_FINISHED: Final = 2084
JOB_NOT_RUNNING: Final = 2085
RESERVATION_BEGUN: Final = 2104
INVALID_TRES: Final = 2115
INVALID_GROUP: Final = 2163
UNKNOWN_GROUP: Final = 2164
INVALID_USER: Final = 2165
UNKNOWN_USER: Final = 2166
NODE_EXISTS: Final = 2168
TOPOLOGY_UNAVAILABLE: Final = 2178
INVALID_NODE_TRANSITION: Final = 2180
INVALID_EXTERNAL: Final = 2189
DB_CONNECTION: Final = 7000
JOBS_ACTIVE: Final = 7001
DEFAULT_ACCOUNT: Final = 7009
INVALID_CLUSTER: Final = 7104
REST_INVALID_QUERY: Final = 9000
DATA_PATH: Final = 9200
DATA_CONVERSION: Final = 9202
DATA_NOT_A_LIST_OF_FLAGS: Final = 9206
DATA_FLAG: Final = 9207
DATA_NOT_A_DICTIONARY: Final = 9209

TEXT: Final = {
    UNSPECIFIED: "Unspecified error",
    NO_ERROR: "No error",
    NOT_PERMITTED: "Operation not permitted",
    UNEXPECTED_MESSAGE: "Unexpected message received",
    INVALID_ARGUMENT: "Invalid argument",
    PROTOCOL_AUTHENTICATION: "Protocol authentication error",
    UNABLE_TO_CONTACT_CONTROLLER: "Unable to contact slurm controller (connect failure)",
    INVALID_PARTITION: "Invalid partition name specified",
    USER_ID_MISSING: "Invalid user id",
    NODE_COUNT: "Node count specification invalid",
    NODE_CONFIGURATION_UNAVAILABLE: "Requested node configuration is not available",
    NODES_BUSY: "Requested nodes are busy",
    INVALID_JOB_ID: "Invalid job id specified",
    INVALID_NODE_NAME: "Invalid node name specified",
    JOB_NOT_ALTERABLE: "Job can not be altered now, try again later",
    JOB_PENDING: "Job is pending execution",
    DISABLED: "Requested operation is presently disabled",
    BATCH_ONLY: "Only batch jobs are accepted or processed",
    INVALID_EXTERNAL: "Invalid configuration for external job",
    ALREADY_DONE: "Job/step already completing or completed",
    BAD_TASK_COUNT: "Task count specification invalid",
    INVALID_NODE_STATE: "Invalid node state specified",
    INVALID_FEATURE: "Invalid feature specification",
    NOT_SUPPORTED: "Requested operation not supported on this system",
    DEPENDENCY: "Job dependency problem",
    INVALID_ACCOUNT: "Invalid account or account/partition combination specified",
    INVALID_PARENT_ACCOUNT: "Invalid parent account specified",
    INVALID_LICENSES: "Invalid license specification",
    ACCOUNTING_POLICY: "Job violates accounting/QOS policy (job submit limit, user's size and/or "
    "time limits)",
    RESERVATION_ACCESS: "Access denied to requested reservation",
    INVALID_RESERVATION: "Requested reservation is invalid",
    INVALID_TIME: "Invalid time specified",
    RESERVATION_BUSY: "Requested reservation is in use",
    RESERVATION_OVERLAP: "Requested reservation overlaps with another reservation",
    INVALID_QOS: "Invalid qos specification",
    INVALID_GRES: "Invalid generic resource (gres) specification",
    JOB_NOT_PENDING: "Job is no longer pending execution",
    JOB_FINISHED: "Job has already finished",
    JOB_NOT_RUNNING: "Job is not running",
    RESERVATION_BEGUN: "Reservation already started",
    INVALID_TRES: "Invalid Trackable RESource (TRES) specification",
    INVALID_GROUP: "Invalid group ID",
    UNKNOWN_GROUP: "Unable to resolve group ID to group name",
    INVALID_USER: "Invalid user ID",
    UNKNOWN_USER: "Unable to resolve user ID to user name",
    NODE_EXISTS: "Node already exists in the node table",
    TOPOLOGY_UNAVAILABLE: "Requested topology configuration is not available",
    INVALID_NODE_TRANSITION: "Invalid node state transition",
    DB_CONNECTION: "Unable to connect to database",
    JOBS_ACTIVE: "Job(s) active, cancel job(s) before remove",
    DEFAULT_ACCOUNT: "You can not remove the default account of a user",
    INVALID_CLUSTER: "Invalid cluster name",
    REST_INVALID_QUERY: "Query empty or not RFC7320 compliant",
    DATA_PATH: "Unable to resolve path",
    DATA_CONVERSION: "Unable to convert Data type",
    DATA_NOT_A_LIST_OF_FLAGS: "Data parser expects flags to be a list",
    DATA_FLAG: "Data parser unable to parse invalid flag",
    DATA_NOT_A_DICTIONARY: "Data parser expected a dictionary or object",
}

_STATUS: Final = {
    NO_ERROR: 200,
    NOT_PERMITTED: 403,
    UNEXPECTED_MESSAGE: 500,
    INVALID_JOB_ID: 404,
    PROTOCOL_AUTHENTICATION: 511,
    UNABLE_TO_CONTACT_CONTROLLER: 502,
    INVALID_EXTERNAL: 500,
    DB_CONNECTION: 502,
    INVALID_CLUSTER: 500,
    REST_INVALID_QUERY: 422,
    DATA_PATH: 422,
}


class NotEmulated(Exception):
    """The request uses something of Slurm that this emulator does not have."""


class Refused(Exception):
    """Slurm says no: `number` is its error number, `text` what goes with it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{number}: {TEXT[number]}")
        self.number = number

    @property
    def text(self) -> str:
        """Slurm's own sentence."""
        return TEXT[self.number]


def status_of(number: int) -> int:
    """The HTTP status slurmrestd answers with: 422 for what slurmctld refuses, else 500."""
    known = _STATUS.get(number)
    if known is not None:
        return known
    return 422 if 1000 < number < 9000 else 500
