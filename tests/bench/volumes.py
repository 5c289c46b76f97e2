"""A small file system per server on its own loop device: its block counters are that server's alone, and
it can be slowed down to what a memory card does."""

import os
import subprocess
import time

BLKIO = "/sys/fs/cgroup/blkio"
# What a memory card of the better kind does (writes a second, octets a second).
CARD = (300, 10 * 1024 * 1024)
# Octets that do not count as work: a program that only reads has its lock file written every half minute.
TRICKLE = 64 * 1024


def call(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


class Volume:
    def __init__(self, name, folder, size="3G"):
        self.image = f"/dev/shm/pillarbox-bench-{name}.img"
        self.kept, self.passing = {}, [self.image]
        self.path = os.path.join(folder, name)
        os.makedirs(self.path, exist_ok=True)
        call("truncate", "-s", size, self.image)
        self.mount(self.image)

    def mount(self, image, fresh=True):
        self.device = call("losetup", "-f", "--show", image)
        if fresh:
            call("mkfs.ext4", "-q", "-i", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", self.device)
        call("mount", "-o", "relatime", self.device, self.path)
        os.chmod(self.path, 0o755)

    def unmount(self):
        call("umount", self.path)
        call("losetup", "-d", self.device)

    def counters(self):
        """Write requests, octets written, flushes."""
        call("sync", "-f", self.path)
        fields = open(f"/sys/block/{os.path.basename(self.device)}/stat").read().split()
        return int(fields[4]), int(fields[6]) * 512, int(fields[15])

    def quiet(self, seconds):
        """Returns when hardly anything was written for so long."""
        known, since = self.written(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.25)
            if self.written() > known + TRICKLE:
                known, since = self.written(), time.monotonic()

    def written(self):
        """Octets since the device is there."""
        return int(open(f"/sys/block/{os.path.basename(self.device)}/stat").read().split()[6]) * 512

    def used(self):
        """Octets that files take."""
        facts = os.statvfs(self.path)
        return (facts.f_blocks - facts.f_bfree) * facts.f_frsize

    def has(self, name, folder=""):
        """Whether a state was kept under a name, in an earlier run into a folder."""
        if folder and name not in self.kept and os.path.exists(self.lasting(name, folder)):
            self.kept[name] = self.lasting(name, folder)
        return name in self.kept

    def lasting(self, name, folder):
        return os.path.join(folder, f"{os.path.basename(self.image)}.{name}")

    def keep(self, name, folder=""):
        """Keeps the state of the volume under a name, in a folder for later runs, too. Nobody may have files open on it."""
        self.unmount()
        self.kept[name] = self.lasting(name, folder) if folder else f"{self.image}.{name}"
        if not folder:
            self.passing.append(self.kept[name])
        call("cp", "--sparse=always", self.image, self.kept[name])
        self.mount(self.image, fresh=False)

    def put(self, name):
        """Puts a kept state back; another process may have no files open here either."""
        self.unmount()
        call("cp", "--sparse=always", self.kept[name], self.image)
        self.mount(self.image, fresh=False)

    def throttle(self, limits):
        """`limits`: writes and octets a second; `(0, 0)` takes the brake off."""
        number = open(f"/sys/block/{os.path.basename(self.device)}/dev").read().strip()
        for name, limit in zip(("write_iops_device", "write_bps_device"), limits):
            with open(f"{BLKIO}/blkio.throttle.{name}", "w") as file:
                file.write(f"{number} {limit}")

    def remove(self):
        self.throttle((0, 0))
        self.unmount()
        for image in self.passing:
            os.remove(image)
