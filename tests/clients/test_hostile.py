"""Everything that once stopped the box, all at once, while honest people go on."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
GROUPS = "/sys/fs/cgroup/memory"
# What the server has on a board with 512 MB (MemoryMax= in its unit).
LIMIT = 310 << 20


class Hostile(unittest.TestCase):
    def cgroup(self):
        """A group with as much memory as on a board, where the machine has such groups."""
        if not os.access(GROUPS, os.W_OK) or not os.path.exists(f"{GROUPS}/memory.limit_in_bytes"):
            return []
        group = f"{GROUPS}/pillarbox-test-{os.getpid()}"
        os.makedirs(group, exist_ok=True)
        self.addCleanup(os.rmdir, group)
        with open(f"{group}/memory.limit_in_bytes", "w") as limit:
            limit.write(str(LIMIT))
        return [group]

    def test_honest_people_are_answered_and_memory_stays_small(self):
        if os.geteuid() != 0:
            raise RuntimeError("this test makes a network of its own, which only root may: sudo tests/run")
        with tempfile.TemporaryDirectory(prefix="pillarbox-hostile-") as folder:
            # A network of its own: strangers have public addresses there, and nothing leaves it.
            own = "ip link set lo up && ip route add local 203.0.113.0/24 dev lo && ip route add local 198.51.100.0/24 dev lo && exec \"$@\""
            done = subprocess.run(["unshare", "-n", "sh", "-c", own, "sh", sys.executable, f"{HERE}/hostile.py", *self.cgroup()], cwd=HERE,
                                  env={**os.environ, "HOSTILE_FOLDER": folder}, capture_output=True, text=True, timeout=280)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        seen = json.loads(done.stdout.splitlines()[-1])
        print(json.dumps(seen, indent=1), file=sys.stderr)
        self.assertTrue(seen["lives"])
        for name, one in seen["honest"].items():
            self.assertEqual(one["wrong"], [], name)
            self.assertGreater(one["count"], 10, name)
            self.assertLess(one["longest"], 2, name)
        # Megabytes. The tasks of a build for debugging are about twice as large.
        self.assertLess(seen["memory"], 120 if "/release/" in os.environ["PILLARBOX_BIN"] else 200)
        self.assertLess(seen["silence"], 10)


if __name__ == "__main__":
    unittest.main()
