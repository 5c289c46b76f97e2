"""A card in an (emulated) Raspberry Pi 3, from where the board's firmware hands over: U-Boot as it is made for Raspberry Pis, the
card's own controller, the hybrid partition table, the board's description. No emulator runs the firmware itself."""
import os
import unittest

from box import Box
from office import FOLDER, IMAGES, SETUP, live, send, shell, subjects, tell


class Raspberry(unittest.TestCase):
    def test_a_card_starts_a_raspberry_pi_3(self):
        box = Box(IMAGES, os.path.join(FOLDER, "card"), [("pillarbox-setup.toml", SETUP)], machine="raspi3b")
        self.addCleanup(box.stop)
        box.start()
        box.says(r"pillarbox: slot A", 300)
        box.says(r"Starting kernel", 300)
        # U-Boot puts the controller away after it said that; the kernel's first message comes from Linux alone.
        box.says(r"\[ *\d+\.\d+\] ", 300)
        box.plug_in_the_network()
        # Four emulated cores, beside two other boxes: with other work on a machine of two it took more than ten minutes.
        tell("Raspberry Pi 3, power-on to the SMTP banner, seconds", round(box.banner(2400), 1))
        send(box, "on a Raspberry Pi")
        self.assertEqual(subjects(box), ["on a Raspberry Pi"])
        self.assertIn("Raspberry Pi 3", shell(box, "tr -d '\\0' < /proc/device-tree/model")[1])
        self.assertIn("root=PARTLABEL=root-a", shell(box, "cat /proc/cmdline")[1])
        # The table has both kinds, also after it grew: older boards' firmware reads the one, Linux the other.
        self.assertGreater(int(shell(box, "df -m /data | tail -1")[1].split()[1]), 300)
        self.assertIn((0x0C, box.partition("boot")[0]), box.old_partitions())
        self.assertEqual(shell(box, "systemctl --failed --no-legend --plain")[1].strip(), "")


if __name__ == "__main__":
    live()
