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
