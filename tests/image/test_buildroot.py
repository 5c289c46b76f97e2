"""The image that Buildroot made for QEMU, without a shell or anything else for tests: only what an owner has."""
import glob
import os
import smtplib
import ssl
import subprocess
import unittest

from box import Box
from office import ANN, BOB, FOLDER, IMAGES, SETUP, Owner, live, page, send, subjects, tell, until

WIFI = "ssid = Office\npassword = wireless secret\ncountry = DE\n"


@unittest.skipUnless(glob.glob(os.path.join(IMAGES, "*-virt.img")), "image/build virt was not run")
class BuildrootsBox(unittest.TestCase):
    def test_mail_goes_in_and_out_and_stays_when_the_plug_is_pulled(self):
        box = Box(IMAGES, os.path.join(FOLDER, "card"), [("pillarbox-setup.toml", SETUP), ("pillarbox-wifi.txt", WIFI)], "virt")
        self.addCleanup(box.stop)
        box.start(with_peer=True)
        tell("Buildroot's, power-on to the SMTP banner, seconds", round(box.banner(), 1))
        send(box, "from outside")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", box.ports["submission"], timeout=60) as ann:
            ann.starttls(context=context)
            ann.login(*ANN)
            ann.sendmail(ANN[0], [BOB[0]], f"From: {ANN[0]}\r\nTo: {BOB[0]}\r\nSubject: from a colleague\r\n\r\nhello\r\n")
        self.assertEqual(sorted(subjects(box)), ["from a colleague", "from outside"])
        self.assertIn("Sign in", page(box, "/login"))
        # Mail comes first; what knows the systems starts a moment later.
        ann = Owner(box.ports["http"], "pillarbox.local")
        self.assertIn("running", until(lambda: ann.curl("/system"), "Two systems", 90))
        peer = subprocess.run([os.environ["PILLARBOX_CABLE"], box.cable, BOB[0], "over the cable"], capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(peer.returncode, 0, peer.stdout + peer.stderr)
        tell("Buildroot's, a peer on the cable", " · ".join(peer.stdout.splitlines()[:2]))
        self.assertNotIn("pillarbox-setup.toml", box.boot_files())
        box.pull_the_plug()
        is_clean, said = box.data_is_clean()
        self.assertTrue(is_clean, said)
        box.start()
        tell("Buildroot's, again after the plug was pulled, seconds", round(box.banner(), 1))
        self.assertEqual(sorted(subjects(box)), ["from a colleague", "from outside", "over the cable"])
        # As it came: with this system's own small tools, not with Debian's.
        box.pull_the_plug()
        self.assertIn("wifi.conf", box.data_folder("/system"))
        box.put_on_boot("pillarbox-reset", "yes\n")
        box.start()
        box.says("factory reset")
        box.banner()
        self.assertIn("Make this mail box yours", page(box, "/setup"))
        self.assertNotIn("pillarbox-reset", box.boot_files())
        box.pull_the_plug()
        left = box.data_folder("/system")
        self.assertNotIn("wifi.conf", left)
        self.assertNotIn("reset", left)
        self.assertIn("kept", left)


if __name__ == "__main__":
    live()
