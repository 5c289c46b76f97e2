"""The name in the office: real boxes' responders on one cable, with repeaters that say everything again. Each is in a network
namespace of its own, so the test needs root."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BEACON = os.environ.get("PILLARBOX_BEACON") or os.path.join(HERE, "../../target/debug/pillarbox-beacon")
PATIENCE = 30
# How long a name must hold while repeaters speak.
HOLDS = 40


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def six(address, prefix="fd00"):
    """The same by IPv6: the last number counts."""
    return f"{prefix}::{address.rsplit('.', 1)[1]}"


class Cable:
    """A bridge in a namespace; machines are plugged into it."""

    def __init__(self, test):
        if os.geteuid() != 0:
            raise RuntimeError("this test makes networks of its own, which only root may: sudo tests/run")
        self.test, self.prefix, self.count = test, f"pillarbox-{os.getpid()}", 0
        self.folder = tempfile.mkdtemp()
        test.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=False)
        self.hub = self.space("hub")
        ip("-n", self.hub, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        ip("-n", self.hub, "link", "set", "bridge", "up")

    def space(self, name):
        name = f"{self.prefix}-{name}"
        ip("netns", "add", name)
        self.test.addCleanup(ip, "netns", "delete", name)
        ip("-n", name, "link", "set", "lo", "up")
        return name

    def plug(self, space, address, interface="eth0"):
        """One more interface for a namespace."""
        self.count += 1
        port = f"port{self.count}"
        ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", space)
        ip("-n", self.hub, "link", "set", port, "master", "bridge", "up")
        # Without a look whether somebody has it already (RFC 4862 §5.4): nobody has.
        ip("-n", space, "address", "add", f"{address}/24", "dev", interface)
        ip("-n", space, "link", "set", interface, "addrgenmode", "none")
        for prefix in ("fe80", "fd00"):
            ip("-n", space, "address", "add", f"{six(address, prefix)}/64", "dev", interface, "nodad")
        ip("-n", space, "link", "set", interface, "up")
        return port

    def machine(self, name, address):
        space = self.space(name)
        self.plug(space, address)
        return space

    def start(self, space, *command):
        running = subprocess.Popen(["ip", "netns", "exec", space, *command], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.test.addCleanup(running.wait)
        self.test.addCleanup(running.kill)
        return running

    def speaker(self, name, address, *words):
        """Somebody else in the office (see mdns.py)."""
        return self.start(self.machine(name, address), sys.executable, f"{HERE}/mdns.py", words[0], address, *words[1:])

    def ask(self, space, address, name):
        done = subprocess.run(["ip", "netns", "exec", space, sys.executable, f"{HERE}/mdns.py", "ask", address, name],
                              capture_output=True, text=True, check=True)
        return done.stdout.split()

    def box(self, name, address, *more):
        return Box(self, name, address, more)


class Box:
    def __init__(self, cable, name, address, more=()):
        self.cable, self.folder = cable, os.path.join(cable.folder, name)
        os.mkdir(self.folder)
        self.space = cable.machine(name, address)
        for number, other in enumerate(more):
            cable.plug(self.space, other, f"eth{number + 1}")
        self.names = []
        self.start()

    def start(self):
        self.running = self.cable.start(self.space, BEACON, "name", "--folder", self.folder, "--machine", "pillarbox")

    def stop(self):
        self.running.terminate()
        return self.running.wait(PATIENCE)

    def look(self):
        """What its file says now; `None`: nothing yet."""
        try:
            with open(os.path.join(self.folder, "name"), encoding="utf-8") as file:
                name = file.read().strip()
        except FileNotFoundError:
            return None
        if self.names[-1:] != [name]:
            self.names.append(name)
        return name

    def has_name(self):
        end = time.monotonic() + PATIENCE
        while self.look() is None and time.monotonic() < end:
            time.sleep(0.05)
        return self.look()


def watch(seconds, *boxes):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for box in boxes:
            box.look()
        time.sleep(0.1)


class Name(unittest.TestCase):
    def test_a_name_holds_while_repeaters_say_everything_again(self):
        cable = Cable(self)
        own = ["10.9.0.1", "10.9.0.2", "10.9.0.12"]
        for number, seconds in enumerate(("0", "0.3", "4")):
            repeater = cable.machine(f"repeater{number}", f"10.9.0.{250 + number}")
            # What goes to everybody on the link comes from addresses of the link.
            for address, heard in ((f"10.9.0.{250 + number}", own), (six(f"10.9.0.{250 + number}"), [six(one, "fe80") for one in own])):
                cable.start(repeater, sys.executable, f"{HERE}/mdns.py", "repeat", address, seconds, *heard)
        # Time for the interpreters to start: they must hear the first question.
        time.sleep(1)
        # The second has two interfaces on the same cable.
        boxes = [cable.box("one", "10.9.0.1"), cable.box("two", "10.9.0.2", "10.9.0.12")]
        asker = cable.machine("asker", "10.9.0.9")
        began = time.monotonic()
        self.assertEqual(sorted(box.has_name() for box in boxes), ["pillarbox", "pillarbox-2"])
        for box, own in zip(boxes, (["10.9.0.1"], ["10.9.0.12", "10.9.0.2"])):
            self.assertEqual(cable.ask(asker, "10.9.0.9", f"{box.look()}.local"), own)
            found = cable.ask(asker, six("10.9.0.9"), f"{box.look()}.local")
            self.assertEqual([address for address in found if not address.startswith("fe80:")], list(map(six, own)))
        watch(HOLDS - (time.monotonic() - began), *boxes)
        for box in boxes:
            self.assertEqual(len(box.names), 1, box.names)

    def test_one_that_comes_later_takes_the_next_name_and_keeps_it(self):
        cable = Cable(self)
        first = cable.box("first", "10.9.0.1")
        self.assertEqual(first.has_name(), "pillarbox")
        second = cable.box("second", "10.9.0.200")
        self.assertEqual(second.has_name(), "pillarbox-2")
        # The first says good-bye; whoever asks gets no answer. The second keeps its name, also when it is started anew.
        self.assertEqual(first.stop(), 0)
        asker = cable.machine("asker", "10.9.0.9")
        self.assertEqual(cable.ask(asker, "10.9.0.9", "pillarbox.local"), [])
        self.assertEqual(second.stop(), 0)
        second.start()
        watch(5, second)
        self.assertEqual((second.names, cable.ask(asker, "10.9.0.9", "pillarbox-2.local")), (["pillarbox-2"], ["10.9.0.200"]))

    def test_who_answers_for_the_name_has_it_and_rubbish_changes_nothing(self):
        cable = Cable(self)
        cable.speaker("other", "10.9.0.8", "claim", "pillarbox.local")
        time.sleep(1)
        box = cable.box("box", "10.9.0.1")
        self.assertEqual(box.has_name(), "pillarbox-2")
        self.assertEqual(cable.speaker("rubbish", "10.9.0.7", "rubbish", "3000").wait(PATIENCE), 0)
        asker = cable.machine("asker", "10.9.0.9")
        self.assertEqual(cable.ask(asker, "10.9.0.9", "pillarbox-2.local"), ["10.9.0.1"])
        # A second interface is used as soon as it is there.
        cable.plug(box.space, "10.9.1.1", "eth1")
        watch(6, box)
        self.assertEqual(cable.ask(asker, "10.9.0.9", "pillarbox-2.local"), ["10.9.0.1", "10.9.1.1"])
        self.assertEqual(box.names, ["pillarbox-2"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
