"""kube-scheduler's calls (k8s.io/kube-scheduler/extender/v1) and our answers, as JSON.

A call carries the whole pod and, for a pod that is not pinned, every node's name: 600 KB for
15,000 nodes. The only questions asked of the names are "is this one among them?" and "how many?",
so they stay bytes: the head of the body is parsed, the list is searched. That rests on how Go
writes the struct (fields in their order, no spaces); a body of any other form is parsed whole, to
the same result.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import pydantic_core
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.errors import BadInput
from bridge.model.ids import NodeName, PodUid

_NAMES = b',"Nodes":null,"NodeNames":['
_END = b"]}"


class Candidates(Protocol):
    """The nodes of a call."""

    def __len__(self) -> int: ...

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[NodeName]: ...


@dataclass(frozen=True, slots=True)
class RawNames:
    """Names as they stand in the body: `"a","b"`. ASCII, no name holds a quote or a backslash."""

    raw: bytes

    def __len__(self) -> int:
        return self.raw.count(b'"') // 2

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or '"' in name:
            return False
        return f'"{name}"'.encode() in self.raw

    def __iter__(self) -> Iterator[NodeName]:
        for name in self.raw[1:-1].split(b'","') if self.raw else ():
            yield NodeName(name.decode())


@dataclass(frozen=True, slots=True)
class FilterCall:
    """What `filter` and `prioritize` are asked.

    `objects` are the Node objects of a kube-scheduler without `nodeCacheCapable`; it must get
    objects back. None with it.
    """

    uid: PodUid
    pod: str
    """namespace/name, for people."""
    candidates: Candidates
    objects: Sequence[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class BindCall:
    """What `bind` is asked."""

    uid: PodUid
    namespace: str
    name: str
    node: NodeName


class _Partial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Metadata(_Partial):
    uid: str = Field(min_length=1)
    name: str = ""
    namespace: str = ""


class _Pod(_Partial):
    metadata: _Metadata


class _Head(_Partial):
    """The body without its names."""

    pod: _Pod = Field(alias="Pod")


class _NodeName(_Partial):
    name: str


class _Node(_Partial):
    metadata: _NodeName


class _NodeList(_Partial):
    items: Annotated[list[dict[str, Any]], BeforeValidator(lambda value: value or [])] = []


class _Args(_Head):
    nodes: _NodeList | None = Field(default=None, alias="Nodes")
    node_names: list[str] | None = Field(default=None, alias="NodeNames")


class _BindingArgs(_Partial):
    name: str = Field(alias="PodName", min_length=1)
    namespace: str = Field(alias="PodNamespace", min_length=1)
    uid: str = Field(alias="PodUID", min_length=1)
    node: str = Field(alias="Node", min_length=1)


def filter_call(body: bytes) -> FilterCall:
    """Reads ExtenderArgs. Raises BadInput for anything else."""
    return _as_go_writes_it(body) or _any_form(body)


def bind_call(body: bytes) -> BindCall:
    """Reads ExtenderBindingArgs. Raises BadInput for anything else."""
    try:
        args = _BindingArgs.model_validate(pydantic_core.from_json(body))
    except ValueError as error:
        raise _bad_body("ExtenderBindingArgs", error) from None
    return BindCall(
        uid=PodUid(args.uid), namespace=args.namespace, name=args.name, node=NodeName(args.node)
    )


def _as_go_writes_it(body: bytes) -> FilterCall | None:
    """None when the body has another form (right or wrong)."""
    at = body.find(_NAMES)
    if at < 0 or not body.endswith(_END):
        return None
    names = body[at + len(_NAMES) : -len(_END)]
    if not _plain_strings(names):
        return None
    try:
        head = _Head.model_validate(pydantic_core.from_json(body[:at] + b"}"))
    except ValueError:
        return None
    return _call(head, RawNames(names))


def _plain_strings(names: bytes) -> bool:
    """Whether these bytes are strings between commas, with nothing escaped in them."""
    if not names:
        return True
    if not names.isascii() or b"\\" in names or b"]" in names or b"{" in names:
        return False
    between = names.count(b'","')
    return names[:1] == names[-1:] == b'"' and names.count(b'"') == 2 * between + 2


def _any_form(body: bytes) -> FilterCall:
    try:
        args = _Args.model_validate(pydantic_core.from_json(body))
        if args.nodes is None:
            return _call(args, tuple(map(NodeName, args.node_names or ())))
        objects = args.nodes.items
        names = tuple(NodeName(_Node.model_validate(node).metadata.name) for node in objects)
    except ValueError as error:
        raise _bad_body("ExtenderArgs", error) from None
    return _call(args, names, objects)


def _call(
    head: _Head, candidates: Candidates, objects: Sequence[dict[str, Any]] | None = None
) -> FilterCall:
    metadata = head.pod.metadata
    return FilterCall(
        uid=PodUid(metadata.uid),
        pod=f"{metadata.namespace}/{metadata.name}",
        candidates=candidates,
        objects=objects,
    )


def _bad_body(kind: str, error: ValueError) -> BadInput:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        said = f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg'].lower()}"
    else:
        said = str(error)
    return BadInput(f"the body is no {kind} of kube-scheduler's extender API v1: {said}")


def filter_result(
    *,
    passed: Sequence[NodeName],
    objects: Sequence[dict[str, Any]] | None,
    refused: dict[NodeName, str],
) -> bytes:
    """ExtenderFilterResult for nodes that pass and nodes that don't."""
    answer: dict[str, Any] = {"NodeNames": passed, "FailedAndUnresolvableNodes": refused}
    if objects is not None:
        answer["NodeNames"] = None
        answer["Nodes"] = {"items": objects}
    return json.dumps(answer).encode()


def error(sentence: str) -> bytes:
    """ExtenderFilterResult or ExtenderBindingResult of a call that ends in an error."""
    return json.dumps({"Error": sentence}).encode()


def bound() -> bytes:
    """ExtenderBindingResult of a pod that is bound."""
    return b'{"Error":""}'


def priorities(names: Sequence[NodeName], scores: Sequence[int]) -> bytes:
    """HostPriorityList."""
    return json.dumps(
        [{"Host": name, "Score": score} for name, score in zip(names, scores, strict=True)]
    ).encode()
