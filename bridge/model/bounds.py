"""How much is read of what others wrote: lengths of texts, ranges of numbers, counts of items.

Whoever may create a pod, a Job or a namespace writes texts that the bridge reads, and nobody else
bounds them all. An annotation may have 256 KiB, a name in an owner reference any characters,
and `int()` raises ValueError for 5,000 digits. So every reader of such a text takes its limit from
here, looks at the length before anything else, and refuses with a sentence that is bounded too.

The limits lie far above what people write, and mostly where Slurm or Kubernetes ends: slurmctld
takes less than 1,024 bytes of account, constraints, licenses, name, partition, qos, reservation
or wckey of a job; Kubernetes counts in 32 bits, and in 64 bits where it counts amounts.
"""

import re
from collections.abc import Sequence
from typing import Final

from bridge.errors import BadInput

# -- texts, in characters ----------------------------------------------------------------------

LONGEST_VALUE: Final = 4096
"""Of an annotation of ours, whatever it says; most kinds of values end earlier."""
LONGEST_LIST: Final = 1000
"""Of a value that lists several things: constraints, gres, licenses, reservations."""
LONGEST_NAME: Final = 255
"""Of a name in Slurm: account, partition, QOS, user … (slurmdbd keeps 255 bytes)."""
LONGEST_PERSON: Final = 2 * LONGEST_NAME + 1
"""Of a namespace's user:group."""
LONGEST_TIME: Final = 100
"""Of a time limit."""
LONGEST_QUANTITY: Final = 64
"""Of an amount: cpu, memory, devices."""
LONGEST_NUMBER: Final = 20
"""Digits of a whole number: as many as 64 bits have."""
LONGEST_WORD: Final = 20
"""Of "true" and "false"."""
LONGEST_SHOWN: Final = 60
"""Of what was written, where a refusal repeats it."""
LONGEST_OBJECT_NAME: Final = 253
"""Of the name of an object of Kubernetes."""
LONGEST_KEY: Final = 317
"""Of a key of Kubernetes with its prefix: labels, extended resources (253 + 1 + 63)."""
LONGEST_LABEL: Final = 253
"""Of a value in a selector; labels themselves end at 63."""
LONGEST_KIND: Final = 63
"""Of the kind in an owner reference, and of a version."""
LONGEST_API_VERSION: Final = LONGEST_OBJECT_NAME + 1 + LONGEST_KIND
LONGEST_UID: Final = 128
LONGEST_INDEXES: Final = 64 << 10
"""Of the list of a Job's completed indexes: beyond those of a gang of the largest size."""

# -- counts --------------------------------------------------------------------------------------

MOST_PODS: Final = 2**31 - 1
"""Of replicas, parallelism, indexes: what Kubernetes counts in 32 bits."""
MOST_SECONDS: Final = 2**31 - 1
"""Of a deadline or a grace: 68 years."""
MOST_AMOUNT: Final = 2**63 - 1
"""Of a quantity: the API server counts no further, and cuts what is larger."""
LARGEST_ID: Final = 0xFFFFFFFD
"""Of Slurm's 32-bit numbers; the two above say "not said" and "no limit"."""
MOST_CLAUSES: Final = 32
"""ORs that a constraint may have, written as an AND of ORs."""
MOST_FEATURES: Final = 64
"""Features that a constraint may name, each time counted."""
MOST_GRES: Final = 32
"""Items of a GRES list."""
MOST_TARGETS: Final = 256
"""Things that a gang may depend on."""
MOST_JOBS: Final = 1000
"""Jobs that one dependency may come to; slurmctld looks at each of them again and again."""
MOST_CHOICES: Final = 256
"""Accounts, partitions or QOS that a namespace may list."""
MOST_ROLES: Final = 256
"""Roles of a training job, replicated jobs of a JobSet, and what one of these waits for."""
MOST_TERMS: Final = 100
"""Terms of a node affinity; of pod affinity, anti-affinity and topology spread together."""
MOST_POD_REQUIREMENTS: Final = 256
"""Requirements in all terms of pod affinity, anti-affinity and topology spread: all pods that are
placed are asked about them."""
MOST_POD_WORDS: Final = 1000
"""Values in them, and namespaces that they name."""
MOST_BETWEEN_ROLES: Final = 10_000
"""Terms of all roles of a gang about other pods, times its roles: each is asked about each."""
MOST_LABELS: Final = 64
"""Labels of a pod that selectors of other pods can meet, each of at most LONGEST_LABEL."""
MOST_REQUIREMENTS: Final = 1000
"""Requirements in all terms of a selector, labels of a node selector, tolerations of a pod."""
MOST_WORDS: Final = 10_000
"""Values in all requirements of a selector."""
MOST_CLAIM_REQUIREMENTS: Final = 32
"""Requirements in the selector of a claim: each free volume is asked about them."""
MOST_CLAIM_WORDS: Final = 256
"""Values in them."""
MOST_RESOURCES: Final = 256
"""Different resources that a pod that is to be placed may ask for."""
MOST_CONTAINERS: Final = 1000
"""Containers of a pod, and init containers; also its volumes."""
MOST_KEYS: Final = 10_000
"""Labels or annotations of an object that is to be admitted."""
MOST_PORTS: Final = 1000
"""Host ports of a pod."""
MOST_CLAIMS: Final = 256
"""Claims that a pod mounts."""
MOST_GATES: Final = 100
"""Scheduling gates of a pod."""
MOST_TOLD: Final = 10
"""Warnings, refusals or names that one answer lists."""

_QUALIFIED: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
)


def shown(written: object, longest: int = LONGEST_SHOWN) -> str:
    """What was written, quoted and cut, for a refusal: 'aaa…' for a text of a megabyte."""
    if isinstance(written, int) and written.bit_length() > 64:
        return "a number of more than 64 bits"
    if isinstance(written, dict | list):
        return f"a {type(written).__name__} of {len(written)}"
    if isinstance(written, str) and len(written) > longest:
        return f"{written[:longest]!r}…"
    return repr(written)


def some(names: Sequence[str], most: int = MOST_TOLD) -> str:
    """The names with commas between, the first ones of many."""
    return ", ".join(names[:most]) + (f" … ({len(names)})" if len(names) > most else "")


def within(text: str, longest: int, form: str) -> str:
    """The text, if it is no longer. Raises BadInput with the accepted `form` ("write …")."""
    if len(text) > longest:
        raise BadInput(f"{shown(text)} has more than {longest} characters; {form}")
    return text


def whole(text: str, *, least: int = 0, most: int) -> int:
    """A whole number in ASCII digits, without a sign. Raises BadInput for anything else."""
    number = number_in(text, most)
    if number is None or number < least:
        raise BadInput(f"{shown(text)} is not a whole number from {least} to {most}")
    return number


def number_in(text: str | None, most: int = MOST_PODS) -> int | None:
    """The number that a label holds, None where it is none from 0 to `most`."""
    if text is None or len(text) > LONGEST_NUMBER or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= most else None


def printable(text: str, longest: int = LONGEST_NAME, form: str = "write a plain word") -> str:
    """A text that people can read, of one line. Raises BadInput, with the accepted form, for
    anything else."""
    if not text or not within(text, longest, form).isprintable():
        raise BadInput(f"{shown(text)} is empty or has unprintable characters; {form}")
    return text


def too_many(count: int, most: int, what: str) -> str:
    """The sentence for more items than are read."""
    return f"{count} {what}; slurm-bridge reads at most {most}"


def check_count(count: int, most: int, what: str, *, field: str) -> None:
    """Raises BadInput, with the path of the field, for more items than `most`."""
    if count > most:
        raise BadInput(f"{field}: {too_many(count, most, what)}", field=field)


def is_qualified(name: str) -> bool:
    """Whether it is a name of Kubernetes with or without a prefix: nvidia.com/gpu, app."""
    return len(name) <= LONGEST_KEY and _QUALIFIED.fullmatch(name) is not None
