"""A supervisor of small stand-in processes: `stand_in.py STATE_DIR PORT [KIND] [--attached]`.

KIND `steady` gets ready, `stuck` has a worker that never does, `broken` one that ends at once.
"""

import os
import sys
from pathlib import Path

from infra.local.child import Part
from infra.local.parts import WORKER_READY_LINE, state_of
from infra.local.settings import LaptopSettings
from infra.local.supervisor import run

SERVER = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
WORKERS = {
    "steady": f"""
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
print("{WORKER_READY_LINE}", flush=True)
signal.pause()
""",
    "stuck": "import signal; signal.pause()",
    "broken": "raise SystemExit('no such task queue')",
}


def parts(state_dir: Path, port: int, kind: str) -> list[Part]:
    """An HTTP server and a worker that has a process of its own."""
    environment = dict(os.environ)
    return [
        Part(
            name="server",
            command=(sys.executable, "-c", SERVER, str(port), str(state_dir)),
            environment=environment,
            ready_url=f"http://127.0.0.1:{port}/_ready",
        ),
        Part(
            name="worker",
            command=(sys.executable, "-c", WORKERS[kind], str(state_dir)),
            environment=environment,
            after=frozenset({"server"}),
            ready_line=WORKER_READY_LINE,
        ),
    ]


def main() -> int:
    """Runs them as the real supervisor runs its own."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    kind = sys.argv[3] if len(sys.argv) > 3 else "steady"
    state = state_of(LaptopSettings(state_dir=folder), os.getpid())
    return run(lambda: parts(folder, port, kind), state, attached="--attached" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
