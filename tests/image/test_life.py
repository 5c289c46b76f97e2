"""A box's life, from power-on to the day it is given away. Slow: every start is an emulated one."""
import os
import re
import smtplib
import subprocess
import threading
import time
import unittest

from box import Box
from office import ANN, BOB, FOLDER, IMAGES, SETUP, Owner, live, page, rescue, send, shell, subjects, tell, until

# The office's wireless network, on a second radio that the kernel makes up.
ACCESS_POINT = r"""
modprobe mac80211_hwsim radios=2
for wait in 1 2 3 4 5 6 7 8 9 10; do [ -e /sys/class/net/wlan1 ] && break; sleep 1; done
printf '[Match]\nName=wlan1\n[Network]\nAddress=192.168.77.1/24\nDHCPServer=yes\n[DHCPServer]\nPersistLeases=no\n' > /run/systemd/network/70-access-point.network
networkctl reload
printf 'interface=wlan1\ndriver=nl80211\nssid=Office & Co\nhw_mode=g\nchannel=1\nwpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=wireless secret\n' > /run/access-point.conf
# Not as a child of the shell: what that began ends with it.
systemd-run --quiet --unit=access-point hostapd -f /run/access-point.log /run/access-point.conf
"""


class Life(unittest.TestCase):
    """One card; the tests run in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.box = Box(IMAGES, os.path.join(FOLDER, "card"))

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()

    def is_anybodys(self):
        """The page of a box that has no owner."""
        return "Make this mail box yours" in page(self.box, "/setup")

    def test_1_a_new_card_starts_and_tells_its_claim_code(self):
        box = self.box
        box.start()
        box.says(r"pillarbox: slot A")
        tell("power-on to the SMTP banner, first start, seconds", round(box.banner(), 1))
        code = box.says(r"Claim code: ([0-3][0-9A-Z]{6})").group(1)
        box.read_to = 0
        # A box without a screen tells it to whoever holds the card.
        shell(box, "/usr/lib/pillarbox/tell-card")
        self.assertEqual(box.boot_text("pillarbox-claim-code.txt"), code)
        # As soon as there is a network, where its pages are as well.
        until(lambda: shell(box, "/usr/lib/pillarbox/tell-card; /usr/bin/pillarbox-beacon places")[1], "http://pillarbox.local/", 60)
        until(lambda: shell(box, "cat /run/pillarbox-name/name")[1], "pillarbox", 60)
        shell(box, "/usr/lib/pillarbox/tell-card")
        self.assertEqual(box.boot_text("pillarbox-address.txt").splitlines()[0], "http://pillarbox.local/")
        self.assertTrue(self.is_anybodys())
        failed = shell(box, "systemctl --failed --no-legend --plain")[1].strip()
        self.assertEqual(failed, "", shell(box, "systemctl --failed --no-legend --plain; journalctl -b -p warning --no-pager | tail -40")[1])
        _, df = shell(box, "df -m /data | tail -1; mount | grep -c 'on / type squashfs (ro'")
        self.assertGreater(int(df.split()[1]), 300, "the data partition grew to the end of the card: " + df)
        self.assertTrue(df.strip().endswith("1"), df)

    def test_2_the_file_on_the_boot_partition_answers_the_set_up(self):
        box = self.box
        if box.machine:
            shell(box, "systemctl --no-block poweroff", 60)
            box.machine.wait(120)
        box.put_on_boot("pillarbox-setup.toml", SETUP)
        box.put_on_boot("pillarbox-wifi.txt", 'ssid = Office & Co\npassword = wireless secret\ncountry = DE\n')
        box.start(with_peer=True)
        tell("power-on to the SMTP banner, seconds", round(box.banner(), 1))
        # What wants a core to itself was measured: others may begin.
        if "PILLARBOX_MEASURED" in os.environ:
            open(os.environ["PILLARBOX_MEASURED"], "w", encoding="utf-8").close()
        send(box, "first")
        self.assertEqual(subjects(box), ["first"])
        # A peer that owes nothing to this machine's kernel: its own address, the box by its name, a message by SMTP.
        peer = subprocess.run([os.environ["PILLARBOX_CABLE"], box.cable, BOB[0], "over the cable"], capture_output=True, text=True, timeout=300)
        self.assertEqual(peer.returncode, 0, peer.stdout + peer.stderr)
        tell("a peer on the cable", " · ".join(peer.stdout.splitlines()[:2]))
        self.assertEqual(subjects(box), ["first", "over the cable"])
        # A board without a battery: the time it knew last is where it starts. QEMU's has one, so "last" is tomorrow here.
        tomorrow = int(time.time()) + 86400
        shell(box, f"touch -d @{tomorrow} /data/system/clock; /usr/lib/pillarbox/clock set")
        self.assertGreaterEqual(int(shell(box, "date +%s")[1]), tomorrow)
        shell(box, f"rm /data/system/clock; date -s @{int(time.time())}")
        _, wifi = shell(box, "cat /data/system/wifi.conf; ls -la /data/system/wifi.conf")
        self.assertIn("ssid=" + "Office & Co".encode().hex(), wifi)
        self.assertIn("-rw-------", wifi)
        self.assertNotIn("pillarbox-setup.toml", box.boot_files())
        self.assertNotIn("pillarbox-wifi.txt", box.boot_files())
        shell(box, "/usr/lib/pillarbox/tell-card")
        self.assertNotIn("pillarbox-claim-code.txt", box.boot_files())
        self.assertNotIn("pillarbox-address.txt", box.boot_files())

    def test_3_it_needs_little_memory(self):
        box = self.box
        # Everything that starts has started, and what it needed for that is given back.
        self.assertEqual(shell(box, "systemctl is-system-running --wait")[1].strip(), "running")
        time.sleep(20)
        _, free = shell(box, "free -m | sed -n 2p")
        used = int(free.split()[2])
        tell("memory used in the guest, MB", used)
        _, pss = shell(box, "for name in pillarbox pillarbox-beacon pillarbox-name; do pid=$(systemctl show --property=MainPID --value $name.service); echo $name $(sed -n 's/^Pss: *//p' /proc/$pid/smaps_rollup); done")
        for line in pss.strip().splitlines():
            tell(f"PSS of {line.split()[0]}, MB", round(int(line.split()[1]) / 1024, 1))
        tell("swap", shell(box, "cat /proc/swaps | tail -n +2")[1].strip() or "none")
        self.assertLess(used, 90)
        self.assertLess(int(re.search(r"^pillarbox (\d+)", pss, re.M).group(1)), 20 * 1024)

    def test_4_the_plug_is_pulled_and_nothing_acknowledged_is_lost(self):
        box = self.box
        acknowledged, stop = [], threading.Event()
        for round_ in range(5):
            stop.clear()

            def load(number):
                count = 0
                while not stop.is_set():
                    subject = f"r{round_}-{number}-{count}"
                    try:
                        send(box, subject)
                        acknowledged.append(subject)
                    except (OSError, smtplib.SMTPException):
                        return
                    count += 1

            loads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
            for one in loads:
                one.start()
            time.sleep(12)
            box.pull_the_plug()
            stop.set()
            for one in loads:
                one.join(90)
            is_clean, said = box.data_is_clean()
            self.assertTrue(is_clean, said)
            box.start()
            # A pulled plug is no sign of a bad system: it is started again, and no other.
            box.says(r"pillarbox: slot A")
            if round_ == 4:
                # Nor is a touched button a wish: what is there stays.
                with box.button():
                    box.says(r"the reset button is held", 400)
                    time.sleep(3)
                box.says(r"nothing is removed", 120)
            box.banner()
        found = subjects(box)
        lost = set(acknowledged) - set(found)
        doubled = len(found) - len(set(found))
        tell("plug pulled 5 times under load: acknowledged, lost, doubled", (len(acknowledged), len(lost), doubled))
        self.assertGreater(len(acknowledged), 20)
        self.assertFalse(lost)
        self.assertEqual(found.count("first"), 1)
        self.assertFalse(self.is_anybodys())
        tell("the button, touched", "nothing is removed")

    def test_5_a_kernel_that_hangs_is_started_anew(self):
        box = self.box
        self.assertEqual(shell(box, "cat /sys/class/watchdog/watchdog0/state")[1].strip(), "active")
        box.read_to = len(box.console())
        began = time.monotonic()
        box.tell_shell("echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger")
        box.says(r"Kernel panic", 60)
        box.says(r"pillarbox: slot A", 240)
        tell("a kernel that hangs is started anew by the watchdog after, seconds", round(time.monotonic() - began))
        box.banner()
        self.assertIn("first", subjects(box))

    def test_6_the_wireless_network_of_the_file_is_joined(self):
        box = self.box
        shell(box, ACCESS_POINT)
        state = "ip -4 -o address show dev wlan0; cat /run/access-point.log; journalctl -b -u pillarbox-wireless --no-pager | tail -20"
        until(lambda: shell(box, state)[1], "inet 192.168.77.", 180)
        tell("the wireless network", "joined, with an address by DHCP")
        self.assertEqual(shell(box, "systemctl --failed --no-legend --plain")[1].strip(), "")

    def test_7_a_factory_reset_makes_it_new(self):
        box = self.box
        # What went wrong is kept on the card, and goes with everything else.
        self.assertIn("started", shell(box, "/usr/lib/pillarbox/keep-log; cat /data/log/box.log")[1])
        box.read_to = len(box.console())
        said = Owner(box.ports["http"], "pillarbox.local").order("/system", order="reset", confirm=ANN[0])
        self.assertIn("is empty then", said)
        box.says(r"factory reset")
        box.banner()
        self.assertTrue(self.is_anybodys())
        self.assertNotIn("office.test", shell(box, "grep -rao office.test /data/pillarbox/store /data/pillarbox/journal | head -1; cat /data/log/box.log; ls /data/system")[1])
        # By a file; and what an installer puts beside it is for the box that comes after it.
        shell(box, "systemctl --no-block poweroff", 60)
        box.machine.wait(120)
        box.put_on_boot("pillarbox-reset", "yes\n")
        box.put_on_boot("pillarbox-setup.toml", SETUP)
        # And one with a mistake, of which the card tells.
        box.put_on_boot("pillarbox-wifi.txt", "ssid = Office\npassword = short\n")
        box.start()
        box.says(r"factory reset")
        box.banner()
        self.assertEqual(subjects(box), [])
        shell(box, "/usr/lib/pillarbox/tell-card")
        files = box.boot_files()
        self.assertNotIn("pillarbox-reset", files)
        self.assertNotIn("pillarbox-setup.toml", files)
        self.assertIn("8 to 63", box.boot_text("pillarbox-wifi-error.txt"))
        tell("factory reset", "by the owner's page and by a file")

    def test_8_a_server_that_can_not_start_has_a_page_that_helps(self):
        box = self.box
        # Its store is damaged, and it has not run since the start: the page must know its owner all the same.
        store = "/data/pillarbox/store/data.mdb"
        shell(box, f"systemctl stop pillarbox.service; head -c 8192 {store} > /data/system/head; dd if=/dev/urandom of={store} bs=4096 count=2 conv=notrunc; sync; systemctl --no-block poweroff")
        box.machine.wait(120)
        box.start()
        until(lambda: page(box, "/"), "The mail server does not run", 300)
        tell("power-on to the rescue page, seconds", round(time.monotonic() - box.began))
        box.says(r"The mail server does not run")
        self.assertIn("That is not right", rescue(box, "log", "0000000"))
        self.assertIn("data.mdb", rescue(box, "log", ANN[1]))
        self.assertRegex(rescue(box, "download", ANN[1]), r"(?m)^\d{4}-\d\d-\d\dT.* pillarbox")
        shell(box, f"dd if=/data/system/head of={store} conv=notrunc; rm /data/system/head")
        self.assertIn("It starts", rescue(box, "restart", ANN[1]))
        box.banner()
        until(lambda: page(box, "/login"), "Sign in", 120)
        tell("rescue page", "appears, asks for the password, restarts the server, makes way for it")

    def test_9_a_card_that_lost_its_data_is_made_new_by_the_button(self):
        box = self.box
        box.pull_the_plug()
        start, size = box.partition("data")
        with open(box.card, "r+b") as card:
            # A file system keeps copies of its head; here they are gone, too.
            for place in range(start, start + size, 32 << 20):
                card.seek(place)
                card.write(bytes(4 << 20))
        box.start()
        # A touch is no wish here either.
        with box.button():
            box.says(r"the reset button is held", 400)
            time.sleep(3)
        box.says(r"nothing is removed", 120)
        box.says(r"keeps the mail can't be read", 400)
        self.assertIn("part of the card", page(box, "/"))
        box.pull_the_plug()
        box.start()
        with box.button():
            box.says(r"the reset button is held", 400)
            box.says(r"let the reset button go", 120)
        box.says(r"the data partition is made anew", 120)
        box.says(r"pillarbox: slot A", 120)
        box.banner()
        self.assertTrue(self.is_anybodys())
        self.assertEqual(shell(box, "systemctl --failed --no-legend --plain")[1].strip(), "")
        tell("the button", "held and let go it resets, also a card without readable data; touched it does not")


if __name__ == "__main__":
    live()
