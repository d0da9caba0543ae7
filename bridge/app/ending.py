"""The end of the process: on time, whatever hangs.

Loop and interpreter wait at their end for threads: uvloop for names that are being resolved, the
pools for what they run. A name server or a mount that does not answer would so outlast the time
that Kubernetes gives a pod to end, and what was done in good order would end in a SIGKILL.
"""

import faulthandler
import os
import threading


def stop_within(seconds: float) -> None:
    """From now on there is so much time to stop. A process that needs more ends with code 1 and
    says where each of its threads was."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def leave_within(seconds: float, code: int) -> None:
    """All is done: a process that still waits for threads after so much time ends with `code`."""
    faulthandler.cancel_dump_traceback_later()
    leave = threading.Timer(seconds, os._exit, [code])
    leave.daemon = True
    leave.start()
