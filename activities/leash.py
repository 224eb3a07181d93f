"""A program: runs the command it is given, and kills its own process group once the worker is gone.

The worker holds the other end of standard input: its end is seen here even after SIGKILL, when
the worker itself can stop nothing any more. It leads the group, and imports nothing of ours.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """The command's exit code; like a shell's, 127 if it cannot start, 128 + n after signal n."""
    # a worker that was started in the background ignores it, and the command would inherit that
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{sys.argv[1]}: {error.strerror}", file=sys.stderr)
        return 127
    # only now: the polite end is meant for the command
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    code = command.wait()
    return code if code >= 0 else 128 - code


def _end_with_the_worker() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
