"""What goes between the bridge and its reading process: frames, each a length and so many bytes.

Two frames ask: the `ReviewReader` with the question (pickled), and the review as it came. One frame
answers: the `Reading` (pickled). A process that is ready says so by an empty frame.

Pickle can call anything, so it is only for those who trust each other: the process is our own
child, and nobody else has its socket. But it reads what tenants write. So the bridge unpickles
nothing from it but the classes of a `Reading`.
"""

import io
import pickle
import struct
from typing import Any, Final

from bridge.admission.mutate import Operation
from bridge.admission.reading import (
    Candidate,
    Change,
    Creation,
    ForbiddenUse,
    Mutation,
    NotAReview,
    Question,
    Reading,
    ReviewReader,
    UnreadablePod,
    Untouched,
)
from bridge.model.refusal import Refusal

LENGTH: Final = struct.Struct(">I")
READY: Final = LENGTH.pack(0)
MOST_READING_BYTES: Final = 256 << 10
"""Of a reading; the largest has a hundred kilobytes, a usual one a few hundred bytes."""
_KINDS = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (
        NotAReview, Untouched, UnreadablePod, Mutation, Creation, Change,
        ForbiddenUse, Candidate, Operation, Refusal,
    )
}  # fmt: skip


def asked(reader: ReviewReader, question: Question, size: int) -> bytes:
    """What comes before a body of that size."""
    task = pickle.dumps((reader, question))
    return LENGTH.pack(len(task)) + task + LENGTH.pack(size)


def task_in(content: bytes) -> tuple[ReviewReader, Question]:
    """The first frame of a question. Only for the child, to which nobody but the bridge writes."""
    reader, question = pickle.loads(content)
    return reader, question


def answered(reading: Reading) -> bytes:
    """The frame of an answer. Raises ValueError if it is larger than it may be."""
    content = pickle.dumps(reading)
    if len(content) > MOST_READING_BYTES:
        raise ValueError(f"a reading of {len(content)} bytes")
    return LENGTH.pack(len(content)) + content


def reading_in(content: bytes) -> Reading:
    """The answer in a frame. Raises ValueError for anything else."""
    try:
        found = _Readings(io.BytesIO(content)).load()
    except Exception as error:  # of many kinds, as pickle says
        raise ValueError(f"no reading: {error}") from error
    if not isinstance(found, Reading):
        raise ValueError(f"no reading but a {type(found).__name__}")
    return found


class _Readings(pickle.Unpickler):
    """Knows no other class than a Reading's."""

    def find_class(self, module: str, name: str) -> Any:
        return _KINDS[module, name]
