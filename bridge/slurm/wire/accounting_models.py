"""Partial models of what slurmdbd's paths answer, the same in v0.0.44 and v0.0.45."""

from pydantic import BaseModel, Field

from bridge.slurm.wire.many import Many, Words
from bridge.slurm.wire.numbers import Fraction, Number


class Named(BaseModel):
    name: str


class AccountModel(BaseModel):
    name: str = Field(min_length=1)
    description: str = ""
    organization: str = ""
    coordinators: Many[Named] = []
    flags: Words = frozenset()


class UserDefaults(BaseModel):
    account: str | None = ""
    wckey: str | None = ""


class UserModel(BaseModel):
    name: str = Field(min_length=1)
    default: UserDefaults = UserDefaults()
    administrator_level: Many[str] = []
    coordinators: Many[Named] = []
    flags: Words = frozenset()


class TresModel(BaseModel):
    type: str
    name: str = ""
    id: int = 0
    count: int = 0


class AssociationDefaults(BaseModel):
    qos: str | None = ""


class AssociationJobsPer(BaseModel):
    wall_clock: Number = None


class AssociationJobs(BaseModel):
    active: Number = None
    total: Number = None
    per: AssociationJobsPer = AssociationJobsPer()


class TresPerJob(BaseModel):
    job: Many[TresModel] = []


class AssociationTres(BaseModel):
    total: Many[TresModel] = []
    per: TresPerJob = TresPerJob()


class AssociationMaximums(BaseModel):
    jobs: AssociationJobs = AssociationJobs()
    tres: AssociationTres = AssociationTres()


class AssociationModel(BaseModel):
    id: int = 0
    cluster: str = ""
    account: str = Field(min_length=1)
    user: str = ""
    partition: str | None = ""
    parent_account: str | None = ""
    is_default: bool = False
    shares_raw: int | None = None
    qos: Many[str] = []
    default: AssociationDefaults = AssociationDefaults()
    max: AssociationMaximums = AssociationMaximums()


class PerUser(BaseModel):
    user: Number = None


class PerUserBox(BaseModel):
    per: PerUser = PerUser()


class QosActive(BaseModel):
    count: Number = None


class QosJobs(BaseModel):
    active_jobs: PerUserBox = PerUserBox()
    per: PerUser = PerUser()


class PerJob(BaseModel):
    job: Number = None


class QosWallClock(BaseModel):
    per: PerJob = PerJob()


class QosTresPer(BaseModel):
    job: Many[TresModel] = []
    user: Many[TresModel] = []


class QosTres(BaseModel):
    total: Many[TresModel] = []
    per: QosTresPer = QosTresPer()


class QosMaximums(BaseModel):
    active_jobs: QosActive = QosActive()
    jobs: QosJobs = QosJobs()
    wall_clock: QosWallClock = QosWallClock()
    tres: QosTres = QosTres()


class QosLimitsModel(BaseModel):
    grace_time: int | None = None
    max: QosMaximums = QosMaximums()


class QosPreempt(BaseModel):
    list_: Many[str] = Field([], alias="list")


class QosModel(BaseModel):
    id: int = 0
    name: str = Field(min_length=1)
    description: str = ""
    flags: Words = frozenset()
    priority: Number = None
    usage_factor: Fraction = None
    preempt: QosPreempt = QosPreempt()
    limits: QosLimitsModel = QosLimitsModel()


class ClusterController(BaseModel):
    host: str | None = ""
    port: int = 0


class ClusterModel(BaseModel):
    name: str = Field(min_length=1)
    controller: ClusterController = ClusterController()
    nodes: str | None = ""
    tres: Many[TresModel] = []
    flags: Words = frozenset()


class JobTimes(BaseModel):
    submission: int = 0
    eligible: int = 0
    start: int = 0
    end: int = 0
    elapsed: int = 0
    limit: Number = None


class JobState(BaseModel):
    current: Words = Field(min_length=1)
    reason: str | None = ""


class JobSignal(BaseModel):
    name: str | None = ""


class JobExit(BaseModel):
    return_code: Number = None
    signal: JobSignal = JobSignal()


class JobComments(BaseModel):
    administrator: str | None = ""
    job: str | None = ""


class JobTres(BaseModel):
    requested: Many[TresModel] = []
    allocated: Many[TresModel] = []


class JobReservation(BaseModel):
    name: str | None = ""


class JobModel(BaseModel):
    job_id: int
    name: str = ""
    state: JobState
    user: str | None = ""
    account: str | None = ""
    cluster: str | None = ""
    partition: str | None = ""
    qos: str | None = ""
    time: JobTimes = JobTimes()
    nodes: str | None = ""
    exit_code: JobExit = JobExit()
    kill_request_user: str | None = ""
    tres: JobTres = JobTres()
    comment: JobComments = JobComments()
    constraints: str | None = ""
    reservation: JobReservation = JobReservation()
    restart_cnt: int = 0
