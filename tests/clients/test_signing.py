"""Signatures are judged by dkimpy: hundreds of bodies of the kinds that canonicalization stumbles over."""

import json
import random
import smtplib
import threading
import time
import unittest

import dkim

from box import PATIENCE, Box
from postfix import free_port
from sink import Sink
from zone import Zone

BODIES = 320
# What bodies are made of: words, blanks in runs, empty lines and lines of blanks, dots, letters beyond ASCII.
PIECES = ("text", "a", " ", "  ", "\t", " \t ", "\r\n", "\r\n\r\n", "\r\n \r\n", "\r\n\t\r\n", ".", "\r\n.\r\n", "..", "=", "=20", "Grüße", "x" * 70, " " * 200, "y" * 1200, "lange Zeile mit Grün " * 60)
ENDS = ("", "\r\n", " \r\n", "\t\r\n", "\r\n \r\n", "\r\n\t\r\n \t \r\n", "\r\n\r\n\r\n", "   ", "\r\n  \r\n\r\n")
SUBJECTS = ("plain", " two  blanks ", "folded\r\n  here\t", "tab\there", "\r\n only in the fold", "a\r\n \tb\r\n\t c")


def bodies():
    """The same ones in each run, so that a failure comes again."""
    dice = random.Random(6376)
    for number in range(BODIES):
        body = "".join(dice.choice(PIECES) for _ in range(dice.randrange(0, 40))) + dice.choice(ENDS)
        if number % 40 == 7:
            # Larger than what is kept in memory, so the parts of the way through files are judged, too.
            body = "long line of text, again \t \r\n" * 12_000 + body
        yield number, dice.choice(SUBJECTS), body


class Signing(unittest.TestCase):
    def setUp(self):
        self.zone = Zone()
        port, self.sinks = free_port("127.0.0.2"), {}
        for name, host, offers in (("wide.test", "127.0.0.2", ("8BITMIME", "SMTPUTF8")), ("narrow.test", "127.0.0.3", ())):
            self.zone.add(name, "MX", f"10 mx.{name}")
            self.zone.add(f"mx.{name}", "A", host)
            self.sinks[name] = Sink(host, port, offers)
        self.box = Box(f"""
            [dns]
            servers = ["{self.zone.address}"]
            dnssec = false
            [outbound]
            remote_port = {port}
            retry = [1, 1, 2]
            daily_recipients = 100000
        """)

    def tearDown(self):
        self.box.stop()
        for sink in self.sinks.values():
            sink.stop()

    def test_every_body_verifies(self):
        code, said = self.box.command("domain", "records", "example.test", "--json")
        self.assertEqual(code, 0, said)
        for record in json.loads(said):
            if record["type"] == "TXT":
                self.zone.add(record["name"], "TXT", record["value"])
        # The keys of a domain are looked at once a minute at most: a message that came before them is unsigned.
        self.until(lambda: self.submit(0, "first", "x\r\n") or b"DKIM-Signature" in self.taken()[-1])
        for sink in self.sinks.values():
            sink.messages.clear()
        for number, subject, body in bodies():
            self.submit(number, subject, body)
        self.until(lambda: all(len(sink.messages) >= BODIES for sink in self.sinks.values()))
        for name, sink in self.sinks.items():
            wrong = [message for message in sink.messages if not self.verifies(message)]
            self.assertEqual(wrong[:1], [], f"{len(wrong)} of {len(sink.messages)} to {name}")
            self.assertTrue(all(len(line) <= 998 for message in sink.messages for line in message.split(b"\r\n")), name)
            if name == "narrow.test":
                self.assertTrue(all(message.isascii() for message in sink.messages))

    def submit(self, number, subject, body):
        ann = self.box.ann[0]
        head = f"From: Ann <{ann}>\r\nTo: b@wide.test\r\nSubject: {subject}\r\nX-Number: {number}\r\nMIME-Version: 1.0\r\n"
        head += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        if not hasattr(self, "smtp") or number % 50 == 0:
            self.smtp = smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE)
            self.addCleanup(self.smtp.close)
            self.smtp.login(*self.box.ann)
        content = (head + body).encode()
        self.smtp.sendmail(ann, ["b@wide.test", "n@narrow.test"], content, mail_options=["BODY=8BITMIME"])

    def taken(self):
        sink = self.sinks["wide.test"]
        before = len(sink.messages)
        self.until(lambda: len(sink.messages) > before or sink.messages)
        return sink.messages

    def verifies(self, message):
        """Both signatures, RSA and Ed25519."""
        checker = dkim.DKIM(message)
        try:
            return all(checker.verify(idx=which, dnsfunc=self.zone.txt) for which in range(2))
        except dkim.DKIMException:
            return False

    def until(self, what):
        end = time.monotonic() + 4 * PATIENCE
        while not what():
            self.assertLess(time.monotonic(), end, self.box.said()[-3000:])
            threading.Event().wait(0.05)


if __name__ == "__main__":
    unittest.main()
