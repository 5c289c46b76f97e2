"""Signatures are judged by dkimpy: hundreds of bodies of the kinds that canonicalization stumbles over."""

import email
import email.policy
import json
import random
import smtplib
import threading
import time
import unittest

import dkim

from box import PATIENCE, Box, raw
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


class Outside(unittest.TestCase):
    """A box, and two servers outside: one takes all letters, one only those of ASCII."""

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

    def session(self):
        smtp = smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE)
        self.addCleanup(smtp.close)
        smtp.login(*self.box.ann)
        return smtp

    def sign(self):
        """Publishes the keys, and waits until the server signs."""
        code, said = self.box.command("domain", "records", "example.test", "--json")
        self.assertEqual(code, 0, said)
        for record in json.loads(said):
            if record["type"] == "TXT":
                self.zone.add(record["name"], "TXT", record["value"])
        # The keys of a domain are looked at once a minute at most: a message that came before them is unsigned.
        smtp, wide, head = self.session(), self.sinks["wide.test"], f"From: {self.box.ann[0]}\r\n\r\nx\r\n"

        def is_signed():
            before = len(wide.messages)
            smtp.sendmail(self.box.ann[0], ["b@wide.test"], head)
            self.until(lambda: len(wide.messages) > before)
            return b"DKIM-Signature" in wide.messages[-1]

        self.until(is_signed)
        for sink in self.sinks.values():
            sink.messages.clear()

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


class Signing(Outside):
    def test_every_body_verifies(self):
        self.sign()
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
            self.smtp = self.session()
        content = (head + body).encode()
        self.smtp.sendmail(ann, ["b@wide.test", "n@narrow.test"], content, mail_options=["BODY=8BITMIME"])


class Headers(Outside):
    """What programs and devices put into headers: mended as far as it can be, refused with the reason where not."""

    def test_what_goes_out_has_short_lines_and_is_ascii_and_signed(self):
        self.sign()
        ann = self.box.ann[0].encode()
        people = b",".join(b"u%d@x.test" % number for number in range(300))
        smtp = self.session()
        for number, fields in enumerate((
            b"To: " + people, b"Subject: " + b"y" * 3000, b"X-L: " + b"y" * 3000, "Subject: S ü\r\nTo: ü <u@x.test>".encode(),
            b"Subject: \xe4\xff", b"To: \"" + b"long name, " * 200 + b"\" <u@x.test>", b"References: " + b"<1@x.test> " * 200,
            b"To: a@x.test\r\nTo: b@x.test", b"X-File: =?utf-8?q?" + b"=C3=BC" * 300 + b"?=",
        )):
            with self.subTest(fields=fields[:40]):
                for sink in self.sinks.values():
                    sink.messages.clear()
                content = b"From: " + ann + b"\r\n" + fields + b"\r\nX-Number: %d\r\n\r\nx\r\n" % number
                smtp.sendmail(ann.decode(), ["b@wide.test", "n@narrow.test"], content, mail_options=["BODY=8BITMIME"])
                self.until(lambda: all(sink.messages for sink in self.sinks.values()))
                for sink in self.sinks.values():
                    head = sink.messages[0].partition(b"\r\n\r\n")[0]
                    self.assertTrue(head.isascii(), head)
                    self.assertNotIn(b"?? ", head)
                    self.assertLessEqual(max(len(line) for line in head.split(b"\r\n")), 998)
                    self.assertTrue(self.verifies(sink.messages[0]))
                    self.assertEqual(read(sink.messages[0]), read(content))

    def test_what_others_read_differently_is_refused_with_the_reason(self):
        ann = self.box.ann[0]
        smtp = self.session()
        for fields, reason in (
            (f"From: {ann}\r\nFrom: Boss <{ann}>", "more than one From"), (f"From: {ann}\r\nSender: {ann}\r\nsender: {ann}", "more than one Sender"),
            (f"From: {ann}\r\nSubject: a\r\nSubject: b", "more than one Subject"), (f" folded\r\nFrom: {ann}", "no field"),
            (f"garbage\r\nFrom: {ann}", "no field"), (f"From: {ann}\r\nX y: z", "no field"), (f"Message-ID: <{'y' * 1000}@x.test>", "longer than a line"),
            (f"From: =?hz-gb-2312?q?boss=40corp.test?= <{ann}>", "reads as an address"),
        ):
            with self.subTest(fields=fields[:60]), self.assertRaises(smtplib.SMTPDataError) as refused:
                smtp.sendmail(ann, ["b@wide.test"], f"{fields}\r\n\r\nx\r\n")
            self.assertEqual(refused.exception.smtp_code, 550)
            self.assertIn(reason, refused.exception.smtp_error.decode())

    def test_text_typed_without_a_header_is_text(self):
        smtp = self.session()
        smtp.sendmail(self.box.ann[0], ["b@wide.test", self.box.bob[0]], "hello\r\nworld\r\n")
        self.box.send(self.box.bob[0], b" folded\r\nSubject: x\r\n\r\nhello\r\n")
        self.box.send(self.box.bob[0], b"typed by hand\r\n")
        wide = self.sinks["wide.test"]
        self.until(lambda: wide.messages)
        head, _, body = wide.messages[0].partition(b"\r\n\r\n")
        self.assertEqual((body, head.lower().count(b"\r\nfrom: ")), (b"hello\r\nworld\r\n", 1))
        session = self.box.pop3s(self.box.bob)
        # The first one is the greeting of the demo.
        bodies = sorted(raw(session, number).partition(b"\r\n\r\n")[2] for number in (2, 3, 4))
        session.quit()
        self.assertEqual(bodies, [b" folded\r\nSubject: x\r\n\r\nhello\r\n", b"hello\r\nworld\r\n", b"typed by hand\r\n"])


def read(content):
    """Subject, people and identifiers as Python reads them; raw letters as our pages do."""
    letters = content.decode("utf-8") if not content.isascii() and b"\xff" not in content else content.decode("latin-1")
    message = email.message_from_string(letters, policy=email.policy.default)
    people = [[(one.display_name, one.addr_spec) for one in field.addresses] for field in message.get_all("To", [])]
    return str(message["Subject"]), sum(people, []), (message["References"] or "").split(), message["X-L"], str(message["X-File"])


if __name__ == "__main__":
    unittest.main()
