"""Mail leaves the box: submitted by real programs, taken by a real Postfix, signed, and bounced in words."""

import email
import email.policy
import json
import pathlib
import re
import smtplib
import ssl
import threading
import time
import unittest

import dkim

from box import PATIENCE, Box
from postfix import PASSWORD, USER, Postfix, free_port
from zone import Zone

HOST = "127.0.0.2"


class Outbound(unittest.TestCase):
    """A box, a zone, and a Postfix that is mx.remote.test."""

    @classmethod
    def setUpClass(cls):
        cls.zone = Zone()
        cls.zone.add("remote.test", "MX", "10 mx.remote.test")
        cls.zone.add("other.test", "MX", "10 mx.remote.test")
        cls.zone.add("closed.test", "MX", "10 closed.remote.test")
        for name in ("mx.remote.test", "relay.test"):
            cls.zone.add(name, "A", HOST)
        cls.zone.add("closed.remote.test", "A", "127.0.0.8")
        port, smtp = free_port(HOST), free_port("127.0.0.1")
        cls.postfix = Postfix(HOST, port, box_port=smtp)
        cls.box = Box(f"""
            [dns]
            servers = ["{cls.zone.address}"]
            dnssec = false
            [outbound]
            remote_port = {port}
            roots = "{cls.postfix.folder}/ca.pem"
            retry = [1, 1, 2]
        """, smtp=smtp)

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()
        cls.postfix.stop()

    def submit(self, to, message, login=None, sender=None, **options):
        login = login or self.box.ann
        with smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE) as smtp:
            smtp.login(*login)
            return smtp.sendmail(sender or login[0], to, message, **options)

    def eventually(self, what):
        end = time.monotonic() + PATIENCE
        while not (found := what()):
            self.assertLess(time.monotonic(), end, self.box.said()[-3000:])
            threading.Event().wait(0.05)
        return found

    def inbox(self, login, word):
        return self.eventually(lambda: [m for m in self.box_mails(login) if word in m.decode(errors="replace")])

    def box_mails(self, login):
        session = self.box.pop3s(login)
        found = [b"\r\n".join(session.retr(n + 1)[1]) + b"\r\n" for n in range(session.stat()[0])]
        session.quit()
        return found

    def queue(self, *words):
        code, said = self.box.command("queue", *words)
        self.assertEqual(code, 0, said)
        return said

    def taken(self, user, token):
        return self.eventually(lambda: [m for m in self.postfix.mails(user) if token.encode() in m])

    def test_signed_mail_arrives_and_verifies(self):
        # The first key takes a moment; `domain records` makes it if the server has not yet.
        code, said = self.box.command("domain", "records", "example.test", "--json")
        self.assertEqual(code, 0, said)
        records = json.loads(said)
        self.assertEqual({r["type"] for r in records}, {"MX", "TXT", "CNAME", "SRV"})
        for record in records:
            if record["type"] == "TXT":
                self.zone.add(record["name"], "TXT", record["value"])
        ann = self.box.ann[0]
        body = "Grüße,\r\n.\r\n  zwei  Leerzeichen \r\n\r\n\r\n".encode()
        header = f"From: Ann <{ann}>\r\nTo: bob@remote.test\r\nBcc: secret@remote.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= signed-1\r\n"
        header += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        # The keys of a domain are looked at once a minute at most: a message that came before them is unsigned.
        self.eventually(lambda: "DKIM-Signature" in self.sent_and_taken(header.encode() + body))
        message = self.taken("bob", "signed-1")[-1]
        parsed = email.message_from_bytes(message, policy=email.policy.default)
        self.assertNotIn("secret", message.decode())
        for field in ("Message-ID", "Date"):
            self.assertTrue(parsed[field], field)
        self.assertNotIn("127.0.0.1", parsed.get_all("Received")[-1])
        delivered = re.sub(rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To):[^\n]*\n)*", b"", message)
        self.assertEqual(len(parsed.get_all("DKIM-Signature")), 2)
        checker = dkim.DKIM(delivered.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        for which in range(2):
            self.assertTrue(checker.verify(idx=which, dnsfunc=self.zone.txt), f"signature {which}")

    def sent_and_taken(self, message):
        before = len([m for m in self.postfix.mails("bob", 0) if b"signed-1" in m])
        self.submit(["bob@remote.test"], message, mail_options=["BODY=8BITMIME"])
        return self.eventually(lambda: [m for m in self.postfix.mails("bob", 0) if b"signed-1" in m][before:])[0].decode()

    def test_under_tls_and_in_the_ledger(self):
        self.submit(["bob@remote.test", "cy@remote.test"], f"From: {self.box.ann[0]}\r\nSubject: tls-2\r\n\r\nx\r\n")
        for user in ("bob", "cy"):
            message = self.taken(user, "tls-2")[0].decode()
            self.assertIn("TLSv1.3", message)
        said = self.eventually(lambda: (s := self.box.command("ledger", "find", "--subject", "tls-2")[1]) and "relayed" in s and s)
        self.assertIn("queued", said.splitlines()[0])
        self.assertIn("mx.remote.test said: 250 2.0.0 Ok: queued as", said)
        self.assertIn("0 recipients in the queue", self.queue("list"))

    def test_a_sender_must_be_ones_own(self):
        for sender, header in ((self.box.bob[0], self.box.ann[0]), (self.box.ann[0], self.box.bob[0])):
            with self.assertRaises(smtplib.SMTPException) as raised:
                self.submit(["bob@remote.test"], f"From: {header}\r\n\r\nx\r\n", sender=sender)
            self.assertIn("which may not send as", str(raised.exception))
        self.submit([self.box.bob[0]], "From: info@example.test\r\nSubject: alias-3\r\n\r\nx\r\n", sender="info@example.test")
        self.assertTrue(self.inbox(self.box.bob, "alias-3"))

    def test_an_unknown_recipient_comes_back_in_plain_words(self):
        self.submit(["nobody@remote.test"], f"From: {self.box.ann[0]}\r\nSubject: lost-4\r\n\r\nx\r\n")
        notice = self.inbox(self.box.ann, "lost-4")[0]
        parsed = email.message_from_bytes(notice, policy=email.policy.default)
        self.assertEqual((parsed.get_content_type(), parsed["Return-Path"], parsed["Auto-Submitted"]),
                         ("multipart/report", "<>", "auto-replied"))
        self.assertEqual(parsed.get_param("report-type"), "delivery-status")
        self.assertEqual([part.get_content_type() for part in parsed.iter_parts()],
                         ["text/plain", "message/delivery-status", "message/rfc822"])
        text, status, original = parsed.iter_parts()
        for words in ("does not exist", "nicht gibt", "nobody@remote.test", "What to do", "Was zu tun ist"):
            self.assertIn(words, text.get_content())
        per_message, per_recipient = status.get_payload()
        self.assertIn("Reporting-MTA", per_message)
        self.assertEqual((per_recipient["Action"], per_recipient["Status"], per_recipient["Final-Recipient"]),
                         ("failed", "5.1.1", "rfc822; nobody@remote.test"))
        self.assertEqual(original.get_payload(0)["Subject"], "lost-4")
        self.assertFalse(parsed.defects + [d for p in parsed.walk() for d in p.defects])

    def test_a_bounce_from_outside_is_linked_to_what_was_sent(self):
        self.submit(["late@remote.test"], f"From: {self.box.ann[0]}\r\nSubject: late-5\r\n\r\nx\r\n")
        notice = self.inbox(self.box.ann, "late-5")[0].decode()
        self.assertIn("mx.remote.test", notice)
        said = self.eventually(lambda: (s := self.box.command("ledger", "find", "--subject", "late-5")[1]) and "notice" in s and s)
        self.assertIn("relayed", said)

    def test_mail_from_outside_comes_in(self):
        with smtplib.SMTP(HOST, self.postfix.port, timeout=PATIENCE, source_address=("127.0.0.9", 0)) as smtp:
            smtp.sendmail("bob@remote.test", [self.box.ann[0]], "Subject: inward-6\r\n\r\nx\r\n")
        self.assertIn("by mx.remote.test", self.inbox(self.box.ann, "inward-6")[0].decode())

    def test_a_server_that_is_down_is_tried_again_and_the_owner_can_see_and_order(self):
        self.submit(["x@closed.test", "y@closed.test"], f"From: {self.box.ann[0]}\r\nSubject: down-7\r\n\r\nx\r\n")
        rows = self.eventually(lambda: [r for r in json.loads(self.queue("list", "@closed.test", "--json")) if r["attempts"] >= 2])
        self.assertIn("connection refused", rows[0]["last"])
        self.assertIn("connecting to closed.remote.test [127.0.0.8]", self.queue("show", rows[0]["number"]))
        self.assertIn("1 recipients are held", self.queue("hold", "x@closed.test"))
        self.assertIn("held by the owner", self.queue("list", "x@closed.test"))
        self.assertIn("1 recipients are removed", self.queue("remove", "x@closed.test"))
        self.assertIn("1 recipients go back", self.queue("bounce", "y@closed.test"))
        self.assertIn("given up by the owner", self.inbox(self.box.ann, "down-7")[0].decode())

    def test_through_a_provider(self):
        def route(password):
            return self.box.command("route", "set", "relay.test", "--port", str(self.postfix.submission), "--tls", "starttls",
                                    "--user", USER, "--password-stdin", "--domain", "other.test", text=password + "\n")
        code, said = route("wrong-password")
        self.assertEqual(code, 0, said)
        self.submit(["z@other.test"], f"From: {self.box.ann[0]}\r\nSubject: provider-8\r\n\r\nx\r\n")
        self.assertIn("535", self.inbox(self.box.ann, "relay.test")[0].decode())
        self.assertIn("the provider refuses the login", self.queue("list", "@other.test"))
        self.assertIn("stopped", self.box.command("route", "list")[1])
        code, said = route(PASSWORD)
        self.assertIn("are tried at once", said)
        message = self.taken("other", "provider-8")[0].decode()
        self.assertIn("ESMTPSA", message)
        files = [file for folder in ("store", "journal") for file in pathlib.Path(self.box.facts["data"], folder).iterdir()]
        self.assertGreater(len(files), 2)
        for file in files:
            self.assertNotIn(PASSWORD.encode(), file.read_bytes(), file)

    def test_over_the_daily_limit_the_owner_decides(self):
        login = self.box.add_account("busy")
        to = [f"r{n}@closed.test" for n in range(100)]
        said = [self.submit(to, f"From: {login[0]}\r\nSubject: many-9\r\n\r\nx\r\n", login=login) for _ in range(5)]
        self.assertEqual(said, [{}] * 5)
        self.submit(["bob@remote.test"], f"From: {login[0]}\r\nSubject: over-9\r\n\r\nx\r\n", login=login)
        self.assertIn("over the daily limit", self.queue("list", "bob@remote.test"))
        self.assertIn("500", self.inbox(self.box.ann, "daily limit")[0].decode())
        self.queue("remove", "@closed.test")
        self.queue("release", "bob@remote.test")
        self.assertTrue(self.taken("bob", "over-9"))

    def test_success_is_told_when_asked_for(self):
        self.submit([self.box.bob[0], "bob@remote.test"], f"From: {self.box.ann[0]}\r\nSubject: told-10\r\n\r\nx\r\n",
                    rcpt_options=["NOTIFY=SUCCESS"])
        notices = self.eventually(lambda: len(n := [m for m in self.box_mails(self.box.ann) if b"told-10" in m]) >= 2 and n)
        actions = {re.search(rb"Action: (\w+)", n)[1] for n in notices}
        # Ours says delivered; Postfix, which was passed the wish, says so too.
        self.assertEqual(actions, {b"delivered"})


if __name__ == "__main__":
    unittest.main()
