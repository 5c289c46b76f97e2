"""A box's place in the office: address, name and time zone, by its owner's page."""
import os
import time
import unittest

from box import MOVED, Box
from office import FOLDER, IMAGES, SETUP, Owner, live, page, shell, tell, until


class Network(unittest.TestCase):
    def test_the_owner_changes_the_machine_and_a_mistake_is_undone(self):
        box = Box(IMAGES, os.path.join(FOLDER, "card"), [("pillarbox-setup.toml", SETUP)])
        self.addCleanup(box.stop)
        box.start()
        box.banner()
        ann = Owner(box.ports["http"], "pillarbox.local")
        # Right after the banner it is a box already: what it is stands in its settings.
        self.assertIn("Use this address", ann.curl("/network"))
        self.assertIn("time zone is set", ann.order("/network", order="zone", zone="Europe/Berlin"))
        self.assertIn("has its new name", ann.order("/network", order="name", name="post"))
        # The server starts anew with it.
        until(lambda: Owner(box.ports["http"], "post.local").curl("/network"), "http://post.local", 100)
        self.assertEqual(shell(box, "hostname; readlink /run/localtime")[1].split(), ["post", "/usr/share/zoneinfo/Europe/Berlin"])
        move = {"order": "cable", "address": f"{MOVED}/24", "gateway": "10.0.2.2"}
        # Nobody confirms: after two minutes the box is where it was.
        ann.order("/network", **move)
        began, gone = time.monotonic(), False
        while time.monotonic() < began + 300:
            if "Sign in" in page(box, "/login"):
                if gone:
                    break
            else:
                gone = True
            time.sleep(2)
        self.assertTrue(gone, "the address never changed")
        tell("an address that nobody confirmed is undone after, seconds", round(time.monotonic() - began))
        self.assertIn("Sign in", page(box, "/login"))
        # Confirmed where it is new, it stays.
        Owner(box.ports["http"], "pillarbox.local").order("/network", **move)
        asked = time.monotonic()
        until(lambda: Owner(box.moved, MOVED).curl("/network"), "Yes, keep it", 100)
        moved = Owner(box.moved, MOVED)
        self.assertIn("The new address stays", moved.order("/network", order="confirm"))
        time.sleep(max(0, asked + 140 - time.monotonic()))
        self.assertIn("Use this address", moved.curl("/network"))
        # Back to automatic, confirmed at the old place.
        moved.order("/network", order="automatic")
        until(lambda: page(box, "/login"), "Sign in", 100)
        time.sleep(12)
        self.assertIn("The new address stays", Owner(box.ports["http"], "pillarbox.local").order("/network", order="confirm"))
        tell("an address that was confirmed", "stayed")


if __name__ == "__main__":
    live()
