"""The power is cut at random moments: what was acknowledged is there, exactly once and octet for octet.

The server works on a device of its own. At the cut nothing gets through to it any more, what it has at that instant is
copied, and the server goes on with the copy, whose file system recovers as after a real cut. A few rounds of each kind are
everyday; `PILLARBOX_CUTS=20` makes twenty. That the test would notice a fault is shown by a build that leaves out the
journal's flush (the feature `careless`)."""

import os
import poplib
import random
import subprocess
import tempfile
import threading
import time
import unittest

import box as boxes
from box import PATIENCE, Box
from disks import Plug
from work import Fetcher, Found, Reader, Record, Sender, join

CUTS = int(os.environ.get("PILLARBOX_CUTS", 2))
SENDERS = 6
# Messages in a mailbox from which on most of them are deleted: looking through them takes long.
MOST = 1500
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class World:
    """A server on a disk whose power can be cut, people, and what was acknowledged to them."""

    def __init__(self, seed, settings=""):
        self.disk, self.logs = Plug(400), tempfile.mkdtemp(prefix="pillarbox-power-")
        self.box = Box(settings or None, folder=self.disk.place, log=self.logs)
        self.people = [self.box.add_account(f"person{n}") for n in range(3)]
        # One of them uses webmail, one POP3.
        self.reader, self.fetcher = self.people[0], self.people[1]
        self.random, self.record, self.round = random.Random(seed), Record(), 0
        self.workers, self.lost = [], []
        # The settings and the people are older than the first cut.
        os.sync()

    def work(self, **how):
        """Everybody begins to work."""
        self.round += 1
        name = f"r{self.round}"
        self.workers = [Sender(self.box, self.record, self.people, f"{name}s{n}", self.random.random(), **how) for n in range(SENDERS)]
        self.workers.append(Fetcher(self.box, self.record, self.fetcher, f"{name}f", self.random.random()))
        self.workers.append(Reader(self.box, self.record, self.reader, f"{name}w", self.random.random()))

    def rest(self):
        """Everybody ends after what they are at."""
        for worker in self.workers:
            worker.is_over.set()
        self.join()

    def join(self):
        join(self.workers)
        self.workers = []

    def wait(self, seconds):
        threading.Event().wait(seconds)

    def cut(self):
        """The power goes, and comes back."""
        seen = self.disk.cut(self.record.at_this_instant)
        # The process can only end once its writes get through; what it writes now is not in the copy.
        self.box.process.kill()
        self.disk.let_through(Plug.FREE)
        self.box.kill()
        self.join()
        self.record = seen
        self.disk.go_on_with_what_is_left()

    def serve(self):
        self.box.serve()
        self.box.wait()

    def look(self):
        """Compares what is there with what was acknowledged."""
        code, said = self.box.command("check", "--full")
        faults = [] if code == 0 else [said]
        found = {login: Found(self.box, login, login == self.reader) for login in self.people}
        faults += self.record.faults(found)
        if max(len(seen.places) for seen in found.values()) > MOST:
            self.delete_most()
        self.lost += [f"round {self.round}: {fault}" for fault in faults]

    def delete_most(self):
        """Seven of eight, all over the journal."""
        fetcher = Fetcher(self.box, self.record, self.fetcher, "clean", 0, most=0)
        fetcher.is_over.set()
        join([fetcher])
        for login in self.people:
            session = self.box.pop3s(login)
            fetcher.login = login
            fetcher.delete(session, [n for n in range(1, session.stat()[0] + 1) if n % 8])
            session.close()

    def path(self, *names):
        return os.path.join(self.box.folder, "demo", "data", *names)

    def changed(self, path, since):
        try:
            return os.stat(path).st_mtime_ns != since
        except FileNotFoundError:
            return True

    def wait_for_change(self, path, seconds):
        """True once the file was written to."""
        since, end = os.stat(path).st_mtime_ns, time.monotonic() + seconds
        while time.monotonic() < end:
            if self.changed(path, since):
                return True
            self.wait(0.001)
        return False

    def wait_for_index(self):
        """Until it is complete, or does no more: the last few messages of an account wait for others."""
        end, seen = time.monotonic() + PATIENCE, [None]
        while len(seen) < 6 and time.monotonic() < end:
            said = [line for line in self.box.command("check")[1].splitlines() if line.startswith("index")]
            if any("complete" in line for line in said):
                return
            seen = seen + [said] if said == seen[-1] else [said]
            self.wait(0.5)

    def merged(self):
        """Files of the index that were, or are being, made of others. Behind format and frame a file names its tier."""
        merged = set()
        # The folder comes with the first file.
        for name in os.listdir(self.path("index")) if os.path.isdir(self.path("index")) else []:
            try:
                with open(self.path("index", name), "rb") as file:
                    begin = file.read(14)
            except FileNotFoundError:
                continue
            if begin[13:] > b"\0":
                merged.add(name)
        return merged

    def wait_for_merge(self, known, seconds):
        """True once files of the index are being made into one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.merged() - known:
                return True
            self.wait(0.001)
        return False

    def journal(self):
        """The segment in use."""
        return max(os.path.join(self.path("journal"), name) for name in os.listdir(self.path("journal")) if name[:1].isdigit())

    def close(self):
        self.rest()
        self.box.kill()
        self.box.log.close()
        self.disk.close()


@unittest.skipUnless(Plug.is_possible(), "holding writes of a device back needs control groups of the first kind")
class Power(unittest.TestCase):
    def world(self, seed):
        world = World(seed)
        self.addCleanup(world.close)
        return world

    def end(self, world, kind, remark=""):
        print(f"\n{CUTS} cuts in {kind}: {world.record.acknowledged} effects acknowledged, {len(world.lost)} faults{remark}", flush=True)
        self.assertEqual(world.lost[:20], [])
        self.assertGreater(world.record.acknowledged, CUTS * SENDERS)

    def test_in_the_middle_of_load(self):
        world = self.world(20261127)
        for _ in range(CUTS):
            world.work()
            world.wait(world.random.uniform(0.3, 2))
            world.cut()
            world.serve()
            world.look()
        self.end(world, "the middle of load")

    def test_in_the_middle_of_a_checkpoint(self):
        world, hits = self.world(20261128), 0
        for _ in range(CUTS):
            world.work(sizes=(100, 300), to_all=1)
            # Rows gather in memory; the tables' file is written when they are folded.
            self.assertTrue(world.wait_for_change(world.path("store", "data.mdb"), 4 * PATIENCE), "no fold under load")
            kept = os.stat(world.path("store", "checkpoint")).st_mtime_ns
            world.disk.let_through(Plug.CARD)
            world.wait(world.random.uniform(0, 0.5))
            world.cut()
            hits += os.stat(world.path("store", "checkpoint")).st_mtime_ns == kept
            world.serve()
            world.look()
        self.end(world, "the middle of a checkpoint", f"; {hits} before the checkpoint was kept")

    def test_in_the_middle_of_a_compaction(self):
        world, hits = self.world(20261129), 0
        for _ in range(CUTS):
            world.work(sizes=(8000, 9000), to_all=0)
            world.wait(6)
            world.rest()
            world.delete_most()
            # What the index writes must not look like contents that are moved.
            world.wait_for_index()
            # The end of a server folds: what was deleted is then behind the checkpoint.
            world.box.process.terminate()
            world.box.process.wait(PATIENCE)
            world.serve()
            # Nobody works: whoever writes to the journal now moves contents.
            hits += world.wait_for_change(world.journal(), 10)
            world.work()
            world.wait(world.random.uniform(0, 2))
            world.cut()
            world.serve()
            world.look()
        self.end(world, "the middle of a compaction", f"; {hits} while contents were moved")
        self.assertGreater(hits, 0)

    def test_in_the_middle_of_a_merge(self):
        world, hits = self.world(20261201), 0
        for _ in range(CUTS):
            # A batch of the index is up to 256 messages of one person, and eight of them are merged.
            known, count = world.merged(), len(world.record.digests)
            world.workers = [Sender(world.box, world.record, world.people[2:], f"m{len(known)}-{count}-{n}", world.random.random(), sizes=(100, 2000), to_all=0)
                             for n in range(SENDERS)]
            end = time.monotonic() + 4 * PATIENCE
            while len(world.record.digests) < count + 8 * 256 + 64 and time.monotonic() < end:
                world.wait(0.01)
            world.rest()
            self.assertTrue(world.wait_for_merge(known, 4 * PATIENCE), "no merge")
            before = set(os.listdir(world.path("index")))
            world.disk.let_through(Plug.CARD)
            world.work()
            world.wait(world.random.uniform(0, 0.1))
            # What was merged goes with the commit that names the new file.
            hits += before <= set(os.listdir(world.path("index")))
            world.cut()
            world.serve()
            world.look()
            # The index is whole: it is never part of what check forgives.
            self.assertNotIn("damaged", world.box.command("check", "--full")[1])
        self.end(world, "the middle of a merge", f"; {hits} before the merged file counted")
        self.assertGreater(hits, 0)

    def test_in_the_middle_of_recovery(self):
        world, hits = self.world(20261130), 0
        for _ in range(CUTS):
            world.work()
            world.wait(world.random.uniform(0.3, 1.5))
            world.cut()
            world.disk.let_through(Plug.CARD)
            world.box.serve()
            world.wait(world.random.uniform(0, 0.15))
            hits += not self.greets(world)
            world.cut()
            world.serve()
            world.look()
        self.end(world, "recovery itself", f"; {hits} before the server greeted")

    def greets(self, world):
        try:
            world.box.smtp().close()
            return True
        except OSError:
            return False

    def test_a_build_without_the_flush_is_caught(self):
        built = subprocess.run(["cargo", "build", "--locked", "-q", "-p", "pillarbox-maild", "--bin", "pillarbox-careless", "--features", "careless"],
                               cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(built.returncode, 0, built.stderr)
        target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
        careful, boxes.BIN = boxes.BIN, os.path.join(target, "debug", "pillarbox-careless")
        try:
            world = self.world(20261127)
            for _ in range(2):
                world.work()
                world.wait(1.5)
                world.cut()
                try:
                    world.serve()
                    world.look()
                except (RuntimeError, poplib.error_proto) as error:
                    world.lost.append(str(error))
                    break
                if world.lost:
                    break
        finally:
            boxes.BIN = careful
        print(f"\nwithout the flush: {len(world.lost)} faults, the first: {(world.lost or [''])[0][:300]}")
        self.assertTrue(world.lost, "the journal was not flushed, and nobody noticed")


if __name__ == "__main__":
    unittest.main()
