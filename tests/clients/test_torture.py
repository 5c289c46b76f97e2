"""Messages that break things come back octet for octet; bad input gets a clear answer."""

import os
import smtplib
import socket
import unittest

from box import Box, BoxTest

HEAD = b"From: a@example.net\r\nSubject: torture\r\n\r\n"


def deep_mime(depth):
    parts = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)]
    ends = [b"\r\n--b%d--\r\n" % n for n in reversed(range(depth))]
    return b"MIME-Version: 1.0\r\n" + b"".join(parts) + b"\r\nx" + b"".join(ends)


class Torture(BoxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.login = cls.box.add_account("torture")

    def assert_returns(self, content, **options):
        self.box.empty(self.login)
        self.box.send(self.login[0], content, **options)
        found = self.box.mails(self.login)
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0] == content, f"{len(content)} octets came back as {len(found[0])}")

    def test_contents_come_back_octet_for_octet(self):
        for content in (
            HEAD + bytes(range(128, 256)) * 10 + b"\r\n",
            HEAD + b"x" * 998 + b"\r\n",
            HEAD + b"y" * 100_000 + b"\r\n",
            HEAD + b".\r\n..\r\n.x\r\n...\r\n",
            HEAD,
            b"Subject: no body\r\n",
            HEAD + b"\r\n" * 1000,
            HEAD + b"bell \a and tab \t\r\n",
            deep_mime(18),
        ):
            self.assert_returns(content, mail_options=["BODY=8BITMIME"])

    def test_what_is_deeper_than_anybody_looks_is_taken_and_lies_in_junk(self):
        self.box.empty(self.login)
        self.box.send(self.login[0], deep_mime(200))
        self.assertEqual(self.box.mails(self.login), [], "POP3 has the inbox")
        code, said = self.box.command("ledger", "find", "--address", self.login[0])
        self.assertEqual(code, 0, said)
        self.assertIn("into Junk: ", said)

    def test_nul_is_refused_and_nothing_of_it_is_stored(self):
        self.box.empty(self.login)
        for content in (HEAD + b"nul \0\r\n", HEAD + b"x\r\n\0.\r\nMAIL FROM:<evil@example.net>\r\n", b"Subject: a\0b\r\n\r\nx\r\n"):
            with self.assertRaises(smtplib.SMTPDataError) as refused:
                self.box.send(self.login[0], content)
            self.assertEqual(refused.exception.smtp_code, 550)
        self.assertEqual(self.box.mails(self.login), [])

    def test_forty_megabytes_come_back(self):
        line = os.urandom(28).hex().encode() + b"\r\n"
        self.assert_returns(HEAD + line * (40 * 1024 * 1024 // len(line)))

    def dialog(self, text, service="smtp"):
        """Sends raw octets, returns everything the server says until it closes."""
        with socket.create_connection(("127.0.0.1", self.box.ports[service]), timeout=20) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            said = b""
            while piece := connection.recv(65536):
                said += piece
        return said.decode()

    def test_chunks_come_back(self):
        self.box.empty(self.login)
        content = HEAD + b".\r\n" + b"z" * 300_000 + b"\r\n"
        half = len(content) // 2
        said = self.dialog(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nBDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n" % (
            self.login[0].encode(), half, content[:half], len(content) - half, content[half:]))
        self.assertIn("stored as", said)
        self.assertEqual(self.box.mails(self.login), [content])

    def test_smuggled_ends_do_not_split_a_message(self):
        self.box.empty(self.login)
        inner = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n" % self.login[0].encode()
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n"):
            said = self.dialog(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: a\r\n\r\nx%s%s\r\n.\r\nQUIT\r\n" % (
                self.login[0].encode(), end, inner))
            self.assertIn("554 5.6.0", said, end)
        self.assertEqual([m for m in self.box.mails(self.login) if b"Subject: a\r\n" in m], [])

    def test_bad_input_gets_a_clear_answer(self):
        big = b"MAIL FROM:<> SIZE=99999999999\r\n"
        for text, wanted in (
            (b"EHLO x\r\nNONSENSE\r\nQUIT\r\n", "500 5.5.2"),
            (b"EHLO x\r\n" + b"N" * 100_000 + b"\r\nQUIT\r\n", "500 5.5."),
            (b"EHLO x\r\n" + big + b"QUIT\r\n", "552 5.3.4"),
            (b"EHLO x\r\nMAIL FROM:<\xff\xfe@x.y>\r\nQUIT\r\n", "50"),
            (b"EHLO x\r\nRCPT TO:<a@b.c>\r\nQUIT\r\n", "503 5.5.1"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "web"),
            (b"EHLO x\r\nVRFY ann\r\nHELP\r\nQUIT\r\n", "252"),
        ):
            self.assertIn(wanted, self.dialog(text), text[:60])
        self.assertIn("-ERR", self.dialog(b"XYZZY\r\n" + b"U" * 50_000 + b"\r\nQUIT\r\n", "pop3"))

    def test_settings_and_store_say_what_is_wrong(self):
        code, said = self.box.command("check", "--full")
        self.assertEqual(code, 0, said)
        self.assertIn("everything is in order", said)
        folder = self.box.folder
        wrong = os.path.join(folder, "wrong.toml")
        with open(wrong, "w") as file:
            file.write("[limits]\nmesage_octets = 1\n")
        self.box.facts["config"], right = wrong, self.box.facts["config"]
        code, said = self.box.command("check")
        self.box.facts["config"] = right
        self.assertEqual(code, 1)
        self.assertIn("mesage_octets", said)
        code, said = self.box.command("serve")
        self.assertEqual(code, 1)
        self.assertIn("another Pillarbox server", said)
        os.makedirs(os.path.join(folder, "damaged/store"))
        with open(os.path.join(folder, "damaged/store/data.mdb"), "wb") as file:
            file.write(b"rubbish" * 5000)
        code, said = self.box.command("--data", os.path.join(folder, "damaged"), "check")
        self.assertEqual(code, 1)
        self.assertIn("backup", said)


class FullDisk(unittest.TestCase):
    def test_a_full_store_says_later_and_loses_nothing(self):
        box = Box()
        login = box.add_account("full")
        box.kill()
        with open(box.facts["config"]) as file:
            text = file.read()
        self.assertIn("max_octets = 0", text)
        with open(box.facts["config"], "w") as file:
            file.write(text.replace("max_octets = 0", "max_octets = 4194304").replace("reserve_octets = 67108864", "reserve_octets = 0"))
        box.serve()
        box.wait()
        accepted, refusal = [], None
        for number in range(2000):
            content = f"Subject: {number}\r\n\r\n".encode() + b"x" * 60 + b"\r\n" + (b"y" * 70 + b"\r\n") * 200
            try:
                box.send(login[0], content)
                accepted.append(content)
            except smtplib.SMTPResponseException as error:
                refusal = error
                break
        self.assertIsNotNone(refusal, "the store never filled")
        self.assertEqual(refusal.smtp_code, 452)
        self.assertIn(b"disk is nearly full", refusal.smtp_error)
        self.assertGreater(len(accepted), 50)
        self.assertEqual(box.mails(login), accepted)
        box.stop()
