"""The Slurm features by which jobs ask for node classes.

A hybrid node, on which slurmd runs too, has the feature of its class with one more letter. So a job
that was submitted for external nodes alone is never granted a hybrid node that joins their class.
"""

import re
from typing import Final

from bridge import names

_HYBRID: Final = "h"
_FORM: Final = re.compile(f"{re.escape(names.CLASS_FEATURE_PREFIX)}[0-9a-f]{{12}}{_HYBRID}?")
"""See `placement.filters.classes.class_name`. A feature of an admin's may begin like one."""


def hybrid(node_class: str) -> str:
    """The feature of the class's hybrid nodes; that of all others is the class itself."""
    return f"{node_class}{_HYBRID}"


def is_class(feature: str) -> bool:
    """Whether the feature says a node's class, of whatever node."""
    return _FORM.fullmatch(feature) is not None
