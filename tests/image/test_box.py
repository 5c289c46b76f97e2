"""The box as a whole, from power-on to updates. Slow: every start is an emulated one."""
import os
import poplib
import re
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from box import MOVED, Box

IMAGES = os.environ["PILLARBOX_IMAGES"]
FOLDER = tempfile.mkdtemp(prefix="pillarbox-image-")
SETUP = """
hostname = "mail.office.test"
domains = ["office.test"]
line = "direct"
certificate = "own"
finished = true
[[person]]
address = "ann@office.test"
name = "Ann"
password = "correct horse battery"
[[person]]
address = "bob@office.test"
name = "Bob"
password = "correct horse staple"
"""
BOB = ("bob@office.test", "correct horse staple")
figures = {}


def tell(name, value):
    figures[name] = value
    print(f"    {name}: {value}", flush=True)


def shell(box, command, patience=300, sends=b""):
    """Runs a command in the test image; what it said and how it ended."""
    with socket.create_connection(("127.0.0.1", box.ports["shell"]), 30) as line:
        line.settimeout(patience)
        line.sendall(f"({command}) 2>&1; echo __ended $?\nexit\n".encode() if not sends else f"{command}; echo __ended $?\n".encode())
        if sends:
            # The shell reads ahead: the command alone first.
            time.sleep(3)
            line.sendall(sends)
        said = b""
        while not re.search(rb"__ended \d+\n", said):
            piece = line.recv(65536)
            if not piece:
                break
            said += piece
    text = said.decode("utf-8", "replace")
    ended = re.search(r"__ended (\d+)\n", text)
    return int(ended.group(1)) if ended else -1, re.sub(r"__ended \d+\n.*", "", text, flags=re.S)


def send(box, subject, to=BOB[0]):
    with smtplib.SMTP("127.0.0.1", box.ports["smtp"], timeout=60) as smtp:
        smtp.sendmail("cy@x.example", [to], f"From: cy@x.example\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{subject}\r\n")


def subjects(box):
    """What lies in Bob's mailbox, as a mail program fetches it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    pop = poplib.POP3_SSL("127.0.0.1", box.ports["pop3s"], timeout=120, context=context)
    pop.user(BOB[0])
    pop.pass_(BOB[1])
    count = pop.stat()[0]
    found = []
    for number in range(1, count + 1):
        head = pop.top(number, 0)[1]
        found += [line[9:].decode() for line in head if line.startswith(b"Subject: ")]
    pop.quit()
    return found


def page(box, path):
    ran = subprocess.run(["curl", "-s", "--max-time", "60", f"http://127.0.0.1:{box.ports['http']}{path}", "-H", "Host: pillarbox.local"],
                         capture_output=True, text=True, check=False)
    return ran.stdout


class Owner:
    """Ann at her browser: signed in, at one of the box's names or addresses."""

    def __init__(self, port, name):
        self.port, self.name, self.jar = port, name, os.path.join(tempfile.mkdtemp(dir=FOLDER), "cookies")
        self.curl("/login", "-d", "user=ann@office.test", "--data-urlencode", "password=correct horse battery")

    def curl(self, path, *arguments, patience=60):
        ran = subprocess.run(["curl", "-s", "--max-time", str(patience), "-b", self.jar, "-c", self.jar, "-H", f"Host: {self.name}", "-H", f"Origin: http://{self.name}",
                              f"http://127.0.0.1:{self.port}{path}", *arguments], capture_output=True, text=True, check=False)
        return ran.stdout

    def token(self, path):
        return re.search(r'name="token" value="([^"]+)"', self.curl(path)).group(1)

    def order(self, path, **fields):
        arguments = [word for name, value in {"token": self.token(path), **fields}.items() for word in ("--data-urlencode", f"{name}={value}")]
        return self.curl(path, *arguments)

    def upload(self, path, file, patience):
        return self.curl(path, "-F", f"token={self.token('/system')}", "-F", f"file=@{file}", patience=patience)


class TheBox(unittest.TestCase):
    """One card through its life; the tests run in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.box = Box(IMAGES, os.path.join(FOLDER, "card"))

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()

    def test_1_a_new_card_starts_and_tells_its_claim_code(self):
        box = self.box
        box.start()
        box.says(r"pillarbox: slot A")
        tell("power-on to the SMTP banner, first start, seconds", round(box.banner(), 1))
        self.assertTrue(box.says(r"Claim code: [0-3][0-9A-Z]{6}"))
        box.read_to = 0
        self.assertIn("Make this mail box yours", page(box, "/setup"))
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

    def test_3_it_needs_little_memory(self):
        box = self.box
        time.sleep(30)
        _, free = shell(box, "free -m | sed -n 2p")
        used = int(free.split()[2])
        tell("memory used in the guest, MB", used)
        _, pss = shell(box, "for name in pillarbox pillarbox-beacon; do pid=$(systemctl show --property=MainPID --value $name.service); echo $name $(sed -n 's/^Pss: *//p' /proc/$pid/smaps_rollup); done")
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
            box.banner()
        found = subjects(box)
        lost = set(acknowledged) - set(found)
        doubled = len(found) - len(set(found))
        tell("plug pulled 5 times under load: acknowledged, lost, doubled", (len(acknowledged), len(lost), doubled))
        self.assertGreater(len(acknowledged), 20)
        self.assertFalse(lost)
        self.assertEqual(found.count("first"), 1)

    def bring(self, name):
        with open(os.path.join(IMAGES, name), "rb") as file:
            octets = file.read()
        ended, said = shell(self.box, f"mkdir -p /data/update; head -c {len(octets)} > /data/update/{name}", 900, octets)
        self.assertEqual(ended, 0, said)

    def test_5_updates_are_tried_before_they_are_kept(self):
        box = self.box
        for name in ("update-stranger.raucb", "update-broken.raucb"):
            self.bring(name)
        # Its own start was good: the timer says so.
        end = time.monotonic() + 120
        while "good" not in shell(box, "ls /run/pillarbox-good 2>/dev/null")[1] and time.monotonic() < end:
            time.sleep(3)
        ended, said = shell(box, "rauc install /data/update/update-stranger.raucb")
        self.assertNotEqual(ended, 0, said)
        self.assertRegex(said, "signature|verif")
        began = time.monotonic()
        # This one as an owner does it.
        said = Owner(box.ports["http"], "pillarbox.local").upload("/system/update", os.path.join(IMAGES, "update-good.raucb"), 900)
        self.assertIn("The update is installed", said)
        tell("uploading and installing an update on the page, seconds", round(time.monotonic() - began, 1))
        shell(box, "systemctl --no-block reboot")
        box.says(r"pillarbox: slot B")
        box.says(r"Mail comes in, goes out by POP3, and stands on the page", 400)
        box.banner()
        self.assertIn("test 2", shell(box, "cat /etc/pillarbox/system /data/system/rehearsed")[1])
        self.assertIn("first", subjects(box))
        end = time.monotonic() + 180
        while "good" not in shell(box, "ls /run/pillarbox-good 2>/dev/null")[1] and time.monotonic() < end:
            time.sleep(3)
        self.assertIn("good", shell(box, "ls /run/pillarbox-good")[1])
        tell("a good update", "kept after its rehearsal")
        send(box, "after the update")
        ended, said = shell(box, "rauc install /data/update/update-broken.raucb", 900)
        self.assertEqual(ended, 0, said)
        shell(box, "systemctl --no-block reboot")
        box.says(r"pillarbox: slot A", 300)
        box.says(r"going back to the other one", 400)
        box.says(r"pillarbox: slot B", 300)
        box.banner()
        self.assertIn("test 2", shell(box, "cat /etc/pillarbox/system")[1])
        found = subjects(box)
        self.assertIn("after the update", found)
        self.assertIn("first", found)
        tell("a broken update", "rolled back, data kept")

    def test_6_the_owner_changes_the_machine_and_a_mistake_is_undone(self):
        box = self.box
        ann = Owner(box.ports["http"], "pillarbox.local")
        self.assertIn("time zone is set", ann.order("/network", order="zone", zone="Europe/Berlin"))
        self.assertIn("has its new name", ann.order("/network", order="name", name="post"))
        # The server starts anew with it.
        time.sleep(10)
        self.assertIn("http://post.local", Owner(box.ports["http"], "post.local").curl("/network"))
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
        end = time.monotonic() + 100
        asked, moved = time.monotonic(), None
        while moved is None and time.monotonic() < end:
            try:
                moved = Owner(box.moved, MOVED)
                self.assertIn("The new address stays", moved.order("/network", order="confirm"))
            except AttributeError:
                moved = None
                time.sleep(2)
        self.assertIsNotNone(moved, "the box was not found at its new address")
        time.sleep(max(0, asked + 140 - time.monotonic()))
        self.assertIn("Use this address", moved.curl("/network"))
        # Back to automatic for what comes next, confirmed at the old place.
        moved.order("/network", order="automatic")
        end = time.monotonic() + 100
        while "Sign in" not in page(box, "/login") and time.monotonic() < end:
            time.sleep(2)
        time.sleep(12)
        self.assertIn("The new address stays", Owner(box.ports["http"], "pillarbox.local").order("/network", order="confirm"))
        tell("an address that was confirmed", "stayed")

    def test_7_a_factory_reset_makes_it_new(self):
        box = self.box
        shell(box, "systemctl --no-block poweroff", 60)
        box.machine.wait(120)
        box.put_on_boot("pillarbox-reset", "yes\n")
        box.start()
        box.banner()
        self.assertIn("Make this mail box yours", page(box, "/setup"))
        self.assertNotIn("pillarbox-reset", box.boot_files())
        self.assertNotIn("bob@office.test", shell(box, "grep -rc office.test /data/pillarbox/store/data.mdb; true")[1])


    def test_8_while_the_server_is_down_there_is_a_page_that_helps(self):
        box = self.box
        code = box.says(r"Claim code: (\S{7})", 180).group(1)
        shell(box, "systemctl mask --runtime --now pillarbox.service")
        end = time.monotonic() + 300
        while "does not run" not in (shown := page(box, "/")) and time.monotonic() < end:
            time.sleep(3)
        self.assertIn("The mail server does not run", shown)
        self.assertIn("does not run", box.console()[-4000:])

        def order(what, secret):
            ran = subprocess.run(["curl", "-s", "--max-time", "90", f"http://127.0.0.1:{box.ports['http']}/rescue", "-H", "Host: pillarbox.local",
                                  "--data-urlencode", f"secret={secret}", "--data-urlencode", f"do={what}"], capture_output=True, text=True, check=False)
            return ran.stdout

        self.assertIn("That is not right", order("log", "0000000"))
        self.assertIn("pillarbox", order("log", code))
        shell(box, "systemctl unmask --runtime pillarbox.service")
        self.assertIn("It starts", order("restart", code))
        box.banner()
        end = time.monotonic() + 120
        while "Make this mail box yours" not in (shown := page(box, "/setup")) and time.monotonic() < end:
            time.sleep(3)
        self.assertIn("Make this mail box yours", shown)
        tell("rescue page", "appears, asks for the code, restarts the server, makes way for it")


if __name__ == "__main__":
    try:
        unittest.main(verbosity=2, failfast=True)
    finally:
        print("\nFigures (under emulation):")
        for name, value in figures.items():
            print(f"  {name}: {value}")
