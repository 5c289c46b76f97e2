"""What the benchmark sends, and how it watches a server while it does."""

import json
import os
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOAD = os.path.join(ROOT, "target/release/pillarbox-bench")
QUICK = "--quick" in sys.argv
FREE = (0, 0)
# Reading the memory of a hundred processes takes time: at most this part of it goes there.
WATCHED = 1 / 20


def load(kind, patience=900, **options):
    """Runs the load generator; its options are named as in its source, with `_` for `-`."""
    words = [LOAD, kind] + [w for key, value in options.items() for w in (f"--{key.replace('_', '-')}", str(value))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=patience)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def fewer(amount, least=20, part=3):
    """A part of an amount, when the run is to be quick."""
    return max(amount // part, min(least, amount)) if QUICK else amount


class Peak:
    """The most memory that a server takes while something is done: `with Peak(server) as peak`, then `peak.total` and
    `peak.anonymous`, in MB."""

    def __init__(self, server):
        self.server, self.total, self.anonymous = server, 0.0, 0.0
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        pause = 0
        while not self.done.wait(pause):
            begun = time.monotonic()
            total, anonymous = self.server.memory()
            self.total, self.anonymous = max(self.total, total), max(self.anonymous, anonymous)
            pause = max(0.02, (time.monotonic() - begun) / WATCHED)

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.watcher.join()
