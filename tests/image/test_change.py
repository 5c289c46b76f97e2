"""What changes in a box: its system, by updates good and bad."""
import os
import time
import unittest

from box import Box
from office import ANN, FOLDER, IMAGES, SETUP, Owner, live, page, rescue, send, shell, subjects, tell, until


class Change(unittest.TestCase):
    """One card, set up by its file; the tests run in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.box = Box(IMAGES, os.path.join(FOLDER, "card"), [("pillarbox-setup.toml", SETUP)])
        cls.box.start()
        cls.box.banner()
        send(cls.box, "first")

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()

    def bring(self, name):
        with open(os.path.join(IMAGES, name), "rb") as file:
            octets = file.read()
        ended, said = shell(self.box, f"mkdir -p /data/test; head -c {len(octets)} > /data/test/{name}", 900, octets)
        self.assertEqual(ended, 0, said)

    def until_it_is_good(self):
        until(lambda: shell(self.box, "test -e /run/pillarbox-good && echo good")[1], "good", 180)

    def test_1_updates_are_tried_before_they_are_kept(self):
        box = self.box
        for name in ("update-stranger.raucb", "update-broken.raucb"):
            self.bring(name)
        # Its own start was good: the timer says so.
        self.until_it_is_good()
        ended, said = shell(box, "rauc install /data/test/update-stranger.raucb")
        self.assertNotEqual(ended, 0, said)
        self.assertRegex(said, "signature|verif")
        began = time.monotonic()
        # This one as an owner does it.
        said = Owner(box.ports["http"], "pillarbox.local").upload("/system/update", os.path.join(IMAGES, "update-good.raucb"), 900)
        self.assertIn("The update is installed", said)
        tell("uploading and installing an update on the page, seconds", round(time.monotonic() - began, 1))
        box.tell_shell("systemctl --no-block reboot")
        box.says(r"pillarbox: slot B")
        box.says(r"Mail comes in, goes out by POP3, and stands on the page", 400)
        box.banner()
        self.assertIn("test 2", shell(box, "cat /etc/pillarbox/system /data/system/rehearsed")[1])
        self.assertIn("first", subjects(box))
        self.until_it_is_good()
        self.assertIn("test 2", shell(box, "cat /data/system/kept")[1])
        tell("a good update", "kept after its rehearsal")
        send(box, "after the update")
        ended, said = shell(box, "rauc install /data/test/update-broken.raucb", 900)
        self.assertEqual(ended, 0, said)
        box.tell_shell("systemctl --no-block reboot")
        box.says(r"pillarbox: slot A", 300)
        box.says(r"going back to the other one", 400)
        box.says(r"pillarbox: slot B", 300)
        box.banner()
        self.assertIn("test 2", shell(box, "cat /etc/pillarbox/system")[1])
        found = subjects(box)
        self.assertIn("after the update", found)
        self.assertIn("first", found)
        tell("a broken update", "rolled back, data kept")
        # The owner hears of it, with the reason.
        ann = Owner(box.ports["http"], "pillarbox.local")
        self.assertIn("tried and not kept", ann.curl("/home"))
        told = ann.curl("/system")
        self.assertIn("An update was not kept", told)
        self.assertIn("this release is broken", told)
        self.assertNotIn("was not kept", ann.order("/system", order="seen"))

    def test_2_the_other_system_is_started_and_does_not_stay_if_it_is_broken(self):
        box = self.box
        box.read_to = len(box.console())
        # What an owner does whose server does not run after an update, here with the one that never ran.
        shell(box, "systemctl mask --runtime --now pillarbox.service")
        until(lambda: page(box, "/"), "does not run", 300)
        self.assertIn("It starts", rescue(box, "other", ANN[1]))
        box.says(r"pillarbox: slot A", 300)
        box.says(r"going back to the other one", 400)
        box.says(r"pillarbox: slot B", 300)
        box.banner()
        self.assertIn("after the update", subjects(box))
        tell("the other system", "started from the rescue page; the broken one did not stay")


if __name__ == "__main__":
    live()
