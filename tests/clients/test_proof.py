"""Who sent a message: dkimpy signs, a name server of the test's has the keys, and the box judges what comes from the internet. For
addresses of the internet the test makes a network of its own, so it needs root."""

import base64
import ctypes
import os
import random
import smtplib
import subprocess
import threading
import time
import unittest

import dkim
import nacl.signing

from box import PATIENCE, Box, raw
from postfix import free_port
from test_signing import bodies
from zone import Zone

# Of two servers on the internet: the first may send for a.test, the second may not, and has no name either.
MAY, MAY_NOT = "203.0.113.9", "203.0.113.10"
CLONE_NEWNET = 0x40000000
BODIES = 160
# Messages of the demo.
DEMO = 2
libc = ctypes.CDLL(None, use_errno=True)


def setUpModule():
    """This thread, and what it starts, from now on in a network of its own."""
    if os.geteuid() != 0:
        raise RuntimeError("this test makes a network of its own, which only root may: sudo tests/run")
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network of its own")
    unittest.addModuleCleanup(os.close, outside)
    unittest.addModuleCleanup(libc.setns, outside, CLONE_NEWNET)
    for words in (["link", "set", "lo", "up"], ["address", "add", MAY, "dev", "lo"], ["address", "add", MAY_NOT, "dev", "lo"]):
        subprocess.run(["ip", *words], check=True)


def rsa():
    """A private key as PEM, and the public one as records have it."""
    private = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=private, capture_output=True, check=True).stdout
    return private, base64.b64encode(public).decode()


class Proof(unittest.TestCase):
    def setUp(self):
        self.zone = Zone()
        self.rsa, public = rsa()
        self.ed25519 = nacl.signing.SigningKey.generate()
        self.zone.add("a.test", "TXT", f"v=spf1 ip4:{MAY} -all")
        self.zone.add("_dmarc.a.test", "TXT", "v=DMARC1; p=reject")
        self.zone.add("_dmarc.soft.test", "TXT", "v=DMARC1; p=quarantine")
        self.zone.add("r._domainkey.a.test", "TXT", f"v=DKIM1; k=rsa; p={public}")
        self.zone.add("e._domainkey.a.test", "TXT", f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(self.ed25519.verify_key)).decode()}")
        self.box = Box(f"""
            [dns]
            servers = ["{self.zone.address}"]
            dnssec = false
        """, smtp=free_port("127.0.0.1"))
        self.addCleanup(self.box.stop)

    def smtp(self, address):
        smtp = smtplib.SMTP(self.box.facts["host"], self.box.ports["smtp"], "mx.a.test", timeout=PATIENCE, source_address=(address, 0))
        self.addCleanup(smtp.close)
        return smtp

    def signed(self, message, kind, canonicalize):
        key, selector, algorithm = {
            "rsa": (self.rsa, b"r", b"rsa-sha256"),
            "ed25519": (base64.b64encode(bytes(self.ed25519)), b"e", b"ed25519-sha256"),
        }[kind]
        return dkim.sign(message, selector, b"a.test", key, canonicalize=canonicalize, signature_algorithm=algorithm) + message

    def ledger(self, address, count):
        """What the ledger knows of an address, once it knows of so many messages; refusals are written a little later."""
        end = time.monotonic() + PATIENCE
        while True:
            code, said = self.box.command("ledger", "find", "--address", address)
            self.assertEqual(code, 0, said)
            if len(said.splitlines()) >= count or time.monotonic() > end:
                return said
            threading.Event().wait(0.1)

    def test_every_body_that_was_signed_is_proven_and_no_other(self):
        """The server may not send for the domain: nothing but the signature speaks for the message."""
        dice, smtp, sent = random.Random(8463), self.smtp(MAY_NOT), 0
        for number, subject, body in bodies():
            if number % 2 or len(body) > 100_000 and number % 80 != 47:
                continue
            # Whoever is refused often has to come again.
            if sent % 8 == 7:
                smtp.quit()
                smtp = self.smtp(MAY_NOT)
            head = f"From: Ann <ann@a.test>\r\nSubject: {subject}\r\nX-Number: {number}\r\n\r\n"
            kind = dice.choice(("rsa", "ed25519"))
            ways = dice.choice((b"relaxed", b"simple")), dice.choice((b"relaxed", b"simple"))
            # As it travels: with a line end.
            body += "" if body.endswith("\r\n") else "\r\n"
            message = self.signed((head + body).encode(), kind, ways)
            with self.subTest(number=number, kind=kind, ways=ways):
                smtp.sendmail("x@list.test", [self.box.ann[0]], message, mail_options=["BODY=8BITMIME"])
                sent += 1
                with self.assertRaises(smtplib.SMTPDataError) as refused:
                    smtp.sendmail("x@list.test", [self.box.ann[0]], message + b"and more\r\n", mail_options=["BODY=8BITMIME"])
                self.assertEqual(refused.exception.smtp_code, 550)
                self.assertIn("says to be from a.test", refused.exception.smtp_error.decode())
        session = self.box.pop3s(self.box.ann)
        # The first ones are the demo's.
        found = [raw(session, number) for number in range(DEMO + 1, len(session.list()[1]) + 1)]
        session.quit()
        self.assertEqual(len(found), sent)
        self.assertGreater(sent, BODIES - 20)
        for message in found:
            field = message.partition(b"Authentication-Results: ")[2].partition(b"\r\nReceived:")[0]
            self.assertIn(b"dkim=pass header.d=a.test", field)
            self.assertIn(b"dmarc=pass", field)
            self.assertIn(b"Pillarbox-Verdict: inbox", field)

    def test_a_server_that_may_send_needs_no_signature(self):
        message = b"From: Ann <ann@a.test>\r\nSubject: x\r\n\r\nhello\r\n"
        self.smtp(MAY).sendmail("x@a.test", [self.box.ann[0]], message)
        with self.assertRaises(smtplib.SMTPDataError) as refused:
            self.smtp(MAY_NOT).sendmail("x@a.test", [self.box.ann[0]], message)
        self.assertEqual(refused.exception.smtp_code, 550)
        # Who did not get it finds out why.
        self.assertIn("says to be from a.test", self.ledger(self.box.ann[0], DEMO + 2))

    def test_what_is_doubtful_is_in_junk_and_says_why(self):
        message = b"From: Ann <ann@soft.test>\r\nSubject: x\r\n\r\nhello\r\n"
        self.smtp(MAY_NOT).sendmail("x@a.test", [self.box.ann[0]], message)
        session = self.box.pop3s(self.box.ann)
        self.assertEqual(len(session.list()[1]), DEMO, "POP3 has the inbox")
        session.quit()
        self.assertIn("into Junk: it says to be from soft.test", self.ledger("x@a.test", 1))


if __name__ == "__main__":
    unittest.main()
