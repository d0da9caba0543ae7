"""What can go wrong while the stack is built, started or ended.

```
StackError                 a sentence for a person; the command line prints it and exits with 1
├── MissingTool            something that must be on the machine is not
├── PortInUse              another process listens where a component must
├── ComponentFailed        a component ended, or is not ready in time; carries the end of its log
└── CommandFailed          a command (kubectl, scontrol, a build step) exited with non-zero
```
"""


class StackError(Exception):
    """Base of everything this package raises on purpose."""


class MissingTool(StackError):
    """A program the stack needs is neither installed nor installable here."""


class PortInUse(StackError):
    """A port of the stack's range belongs to another process."""


class ComponentFailed(StackError):
    """A component ended or did not become ready; the message ends with the tail of its log."""


class CommandFailed(StackError):
    """A command that was run to its end exited with a non-zero code."""
