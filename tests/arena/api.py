"""The tests' own clients: as thin as can be, so that they can't share a mistake with the bridge."""

import base64
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import yaml

Object = dict[str, Any]

_CLUSTER_WIDE = (
    "node", "namespace", "priorityclass", "customresourcedefinition", "persistentvolume",
    "storageclass",
)  # fmt: skip


class Kubernetes:
    """The API server, as an admin; or as `user` (of these groups), for whom the admin acts."""

    def __init__(self, kubeconfig: Path, *, user: str = "", groups: tuple[str, ...] = ()) -> None:
        self.kubeconfig = kubeconfig
        loaded = yaml.safe_load(kubeconfig.read_text())
        cluster, known = loaded["clusters"][0]["cluster"], loaded["users"][0]["user"]
        headers = [("Impersonate-Group", group) for group in groups]
        if user:
            headers.append(("Impersonate-User", user))
        if "token" in known:
            headers.append(("Authorization", f"Bearer {known['token']}"))
        self.http = httpx2.Client(
            base_url=cluster["server"],
            verify=_tls(cluster, known),
            headers=headers,
            timeout=30.0,
            trust_env=False,
            limits=httpx2.Limits(max_connections=32),
        )

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **params: str) -> Object:
        """One object or list. Raises for any status but 2xx."""
        return self._answer(self.http.get(path, params=params))

    def find(self, path: str) -> Object | None:
        """One object; None when there is none."""
        answer = self.http.get(path)
        return None if answer.status_code == 404 else self._answer(answer)

    def create(self, manifest: Object) -> Object:
        """POST; the answer is the object as stored."""
        return self._answer(self.try_create(manifest))

    def try_create(self, manifest: Object) -> httpx2.Response:
        """POST; whatever comes back."""
        return self.http.post(_collection(manifest), json=manifest)

    def patch(self, path: str, body: Object) -> Object:
        """A merge patch."""
        kind = {"Content-Type": "application/merge-patch+json"}
        return self._answer(self.http.patch(path, json=body, headers=kind))

    def set_node_condition(self, node: str, **condition: str) -> None:
        """As a node agent does it: a strategic patch of one condition."""
        kind = {"Content-Type": "application/strategic-merge-patch+json"}
        body = {"status": {"conditions": [condition]}}
        self._answer(self.http.patch(f"/api/v1/nodes/{node}/status", json=body, headers=kind))

    def delete(self, path: str, *, propagation: str = "Background") -> None:
        """Gone already is fine."""
        answer = self.http.request("DELETE", path, json={"propagationPolicy": propagation})
        if answer.status_code != 404:
            self._answer(answer)

    def pods(self, namespace: str, *, of_job: str = "") -> list[Object]:
        """All pods of a namespace (and a Job), by name."""
        selector = f"job-name={of_job}" if of_job else ""
        found = self.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        return sorted(found["items"], key=lambda pod: pod["metadata"]["name"])

    def pod(self, namespace: str, name: str) -> Object | None:
        """One pod; None when it is gone."""
        return self.find(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def events(self, namespace: str, name: str = "") -> list[Object]:
        """Events that regard `name`, oldest first."""
        found = self.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")["items"]
        return [one for one in found if not name or one["regarding"].get("name") == name]

    @staticmethod
    def _answer(answer: httpx2.Response) -> Object:
        if answer.is_error:
            raise AssertionError(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
            )
        parsed: Object = answer.json()
        return parsed


class Slurm:
    """slurmrestd, as SlurmUser."""

    def __init__(self, url: str, token_file: Path, version: str = "v0.0.45") -> None:
        self.url = url
        self.token_file = token_file
        self.http = httpx2.Client(
            base_url=f"{url}/slurm/{version}",
            headers={"X-SLURM-USER-TOKEN": token_file.read_text().strip()},
            timeout=30.0,
            trust_env=False,
        )

    def close(self) -> None:
        self.http.close()

    def jobs(self) -> list[Object]:
        """Every job, whole."""
        found: list[Object] = self._answer(self.http.get("/jobs/"))["jobs"]
        return found

    def live_jobs(self) -> list[Object]:
        """Jobs that wait, run or are suspended."""
        return [job for job in self.jobs() if state(job) in ("PENDING", "RUNNING", "SUSPENDED")]

    def job(self, job_id: int) -> Object:
        """One job."""
        job: Object = self._answer(self.http.get(f"/job/{job_id}"))["jobs"][0]
        return job

    def nodes(self) -> dict[str, Object]:
        """Every external node, by name; for one that runs a slurmd see `node`."""
        nodes = self._answer(self.http.get("/nodes/"))["nodes"]
        return {node["name"]: node for node in nodes if "EXTERNAL" in node["state"]}

    def node(self, name: str) -> Object:
        """One node, whatever its kind."""
        node: Object = self._answer(self.http.get(f"/node/{name}"))["nodes"][0]
        return node

    def update_node(self, name: str, **fields: Any) -> None:
        """scontrol update nodename=, as an admin."""
        self._answer(self.http.post(f"/node/{name}", json=fields))

    def cancel(self, job_id: int) -> None:
        """scancel."""
        self._answer(self.http.delete(f"/job/{job_id}"))

    def signal(self, job_id: int, name: str = "SIGTERM") -> None:
        """scancel --signal."""
        self._answer(self.http.delete(f"/job/{job_id}", params={"signal": name}))

    def shrink(self, job_id: int, keep: list[str]) -> None:
        """scontrol update nodelist=, as an admin: a running job keeps only these nodes."""
        self._answer(self.http.post(f"/job/{job_id}", json={"required_nodes": keep}))

    def drain(self, node: str, reason: str) -> None:
        """scontrol update, as an admin."""
        self._answer(self.http.post(f"/node/{node}", json={"state": ["DRAIN"], "reason": reason}))

    def bring_back(self, node: str) -> None:
        """scontrol update state=resume, as an admin."""
        self._answer(self.http.post(f"/node/{node}", json={"state": ["RESUME"]}))

    def reservations(self) -> dict[str, Object]:
        """All, by name."""
        found = self._answer(self.http.get("/reservations/"))["reservations"]
        return {one["name"]: one for one in found}

    def reserve(self, name: str, nodes: list[str], *, in_s: int) -> None:
        """scontrol create reservation, for maintenance, as an admin: an hour."""
        start = {"set": True, "infinite": False, "number": int(time.time()) + in_s}
        body = {
            "name": name, "node_list": nodes, "users": ["root"], "start_time": start,
            "duration": {"set": True, "infinite": False, "number": 60},
            "flags": ["MAINT", "IGNORE_JOBS"],
        }  # fmt: skip
        self._answer(self.http.post("/reservation", json=body))

    def unreserve(self, name: str) -> None:
        """scontrol delete reservation."""
        self._answer(self.http.delete(f"/reservation/{name}"))

    def submit(self, **fields: Any) -> int:
        """A job of somebody else's."""
        job = {
            "current_working_directory": "/tmp",
            "environment": ["A=b"],
            "flags": ["EXTERNAL_JOB"],
            **fields,
        }
        answer = self._answer(self.http.post("/job/submit", json={"job": job}))
        return int(answer["job_id"])

    @staticmethod
    def _answer(answer: httpx2.Response) -> Object:
        parsed: Object = answer.json()
        if answer.is_error or parsed.get("errors"):
            raise AssertionError(f"{answer.request.method} {answer.request.url}: {answer.text}")
        return parsed


def state(job: Object) -> str:
    """A job's base state."""
    return str(job["job_state"][0])


def gpus_by_node(job: Object) -> dict[str, int]:
    """GPUs that a running job holds, node by node, from its gres_detail."""
    names = [node["name"] for node in job["job_resources"]["nodes"]["allocation"]]
    details = job["gres_detail"]
    held = dict.fromkeys(names, 0)
    for name, detail in zip(names, details, strict=bool(details)):
        for item in _items(detail):
            kind, *rest = item.split("(")[0].split(":")
            if kind == "gpu":
                held[name] += int(rest[-1])
    return held


def wait_for(
    what: str, found: Callable[[], Any], *, seconds: float = 20.0, every_s: float = 0.05
) -> Any:
    """Poll until `found()` is true; its value. Fails with `what` and the last value otherwise."""
    end_s = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {seconds:g} s: {what} (last: {value!r})")
        time.sleep(every_s)


def _items(detail: str) -> Iterator[str]:
    """`gpu:h100:8(IDX:0-3,5),efa:2(...)` at the commas outside parentheses."""
    depth, start = 0, 0
    for index, char in enumerate(detail):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and not depth:
            yield detail[start:index]
            start = index + 1
    if detail[start:]:
        yield detail[start:]


def documents(manifest: Path, namespace: str) -> list[Object]:
    """The objects of a manifest, as created in that namespace."""
    found = [one for one in yaml.safe_load_all(manifest.read_text()) if one]
    return [{**one, "metadata": {**one["metadata"], "namespace": namespace}} for one in found]


def path_of(manifest: Mapping[str, Any]) -> str:
    """Where the object of a manifest is."""
    return f"{_collection(manifest)}/{manifest['metadata']['name']}"


def _collection(manifest: Mapping[str, Any]) -> str:
    version, kind = manifest["apiVersion"], manifest["kind"].lower()
    plural = _plural(kind)
    prefix = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    if kind in _CLUSTER_WIDE or version.startswith("admissionregistration."):
        return f"{prefix}/{plural}"
    return f"{prefix}/namespaces/{manifest['metadata']['namespace']}/{plural}"


def _plural(kind: str) -> str:
    if kind.endswith("y"):
        return kind[:-1] + "ies"
    return kind + ("es" if kind.endswith("s") else "s")


def _tls(cluster: Object, user: Object) -> ssl.SSLContext | bool:
    if not cluster["server"].startswith("https"):
        return False
    context = ssl.create_default_context(cafile=_file(cluster, "certificate-authority"))
    certificate = _file(user, "client-certificate")
    if certificate:
        context.load_cert_chain(certificate, _file(user, "client-key"))
    return context


def _file(section: Object, key: str) -> str | None:
    if key in section:
        return str(section[key])
    if f"{key}-data" not in section:
        return None
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(base64.b64decode(section[f"{key}-data"]))
    return file.name
