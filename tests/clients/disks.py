"""Small disks of their own for tests that fill one, or break one. They need root, as tests/run does."""

import os
import shutil
import subprocess
import tempfile


def run(*words):
    if os.geteuid() != 0:
        raise RuntimeError("this test mounts file systems of its own, which only root may: sudo tests/run")
    subprocess.run(words, check=True, capture_output=True)


class Disk:
    """A file system of a few megabytes, mounted in a folder of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pillarbox-disk-")
        self.place = os.path.join(self.folder, "mounted")
        os.mkdir(self.place)
        self.mount()

    def close(self):
        subprocess.run(["umount", "-l", self.place], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def free(self):
        facts = os.statvfs(self.place)
        return facts.f_bavail * facts.f_frsize

    def fill(self, name="filler"):
        """Takes all that is left, to the last octet."""
        with open(os.path.join(self.place, name), "wb", buffering=0) as file:
            for piece in (1 << 20, 4096, 1):
                try:
                    while file.write(b"x" * piece) == piece:
                        pass
                except OSError:
                    pass

    def leave(self, octets, name="filler"):
        """Gives so much of what was taken back."""
        filler = os.path.join(self.place, name)
        os.truncate(filler, os.path.getsize(filler) - octets)


class Memory(Disk):
    """In memory: quick, and its size is exact. `files`: most files and folders."""

    def __init__(self, megabytes, files=0):
        self.options = f"size={megabytes}m" + (f",nr_inodes={files}" if files else "")
        super().__init__()

    def mount(self):
        run("mount", "-t", "tmpfs", "-o", self.options, "pillarbox-test", self.place)


class Card(Disk):
    """ext4 on a file, as on a card; it turns read-only when it shows an error."""

    def __init__(self, megabytes):
        self.megabytes = megabytes
        super().__init__()

    def mount(self):
        self.image = os.path.join(self.folder, "card")
        with open(self.image, "wb") as file:
            file.truncate(self.megabytes << 20)
        run("mkfs.ext4", "-q", "-F", self.image)
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.place)

    def break_down(self):
        """The kernel meets an error on it."""
        found = subprocess.run(["findmnt", "-n", "-o", "SOURCE", self.place], check=True, capture_output=True, text=True)
        device = os.path.basename(found.stdout.strip())
        with open(f"/sys/fs/ext4/{device}/trigger_fs_error", "w") as trigger:
            trigger.write("a test")


BLKIO = "/sys/fs/cgroup/blkio/blkio.throttle"


class Plug(Disk):
    """ext4 on a loop device of its own whose power can be cut: what the device has at an instant is all that is left."""

    # Writes and octets a second: none; as a memory card does; as many as come.
    NONE, CARD, FREE = (1, 1), (300, 10 << 20), (0, 0)

    def __init__(self, megabytes):
        self.megabytes, self.copies = megabytes, 0
        super().__init__()

    @staticmethod
    def is_possible():
        """Holding writes back needs the first kind of control groups."""
        return os.path.exists(f"{BLKIO}.write_bps_device")

    def mount(self):
        # In memory where there is some: copies are quick there.
        self.images = tempfile.mkdtemp(prefix="pillarbox-plug-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.image = os.path.join(self.images, "card")
        with open(self.image, "wb") as file:
            file.truncate(self.megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", self.image)
        self.attach()

    def attach(self):
        done = subprocess.run(["losetup", "-f", "--show", self.image], check=True, capture_output=True, text=True)
        self.device = os.path.basename(done.stdout.strip())
        run("mount", f"/dev/{self.device}", self.place)

    def detach(self):
        self.let_through(self.FREE)
        run("umount", self.place)
        run("losetup", "-d", f"/dev/{self.device}")

    def let_through(self, limits):
        with open(f"/sys/block/{self.device}/dev") as file:
            number = file.read().strip()
        for name, limit in zip(("iops", "bps"), limits):
            with open(f"{BLKIO}.write_{name}_device", "w") as file:
                file.write(f"{number} {limit}")

    def written(self):
        """Sectors since the device is there."""
        with open(f"/sys/block/{self.device}/stat") as file:
            return int(file.read().split()[6])

    def cut(self, at_this_instant):
        """From now on nothing reaches the device; what it has is kept beside. Returns what `at_this_instant` gives: it is
        called when nothing gets through any more."""
        self.let_through(self.NONE)
        self.copies += 1
        self.left = os.path.join(self.images, f"left-{self.copies}")
        for _ in range(20):
            before, seen = self.written(), at_this_instant()
            run("cp", "--sparse=always", self.image, self.left)
            # What was on its way may still have come through.
            if self.written() == before:
                return seen
        raise RuntimeError("writes come through a device that should let none through")

    def go_on_with_what_is_left(self):
        """The power is back. Nobody may have files open on the disk."""
        self.detach()
        os.remove(self.image)
        self.image = self.left
        self.attach()

    def close(self):
        self.let_through(self.FREE)
        super().close()
        subprocess.run(["losetup", "-d", f"/dev/{self.device}"], check=False, capture_output=True)
        shutil.rmtree(self.images, ignore_errors=True)
