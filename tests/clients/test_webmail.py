"""Mail written in the browser, on its way to a real Postfix, and what other programs make of it."""

import email
import email.policy
import http.client
import json
import subprocess
import unittest
import urllib.request

import dkim

from box import Box
from postfix import Postfix, free_port
from test_web import Browser, token, write
from zone import Zone

HOST = "127.0.0.2"
NAME = "Grüße – «Angebot».txt"
TEXT = "Lieber Bob,\n\n" + "ein langer Satz mit Umlauten äöü und ohne Ende " * 30 + "\nFrom here on\n.\n..two\n\ntrailing   \n-- \nAnn\n"


class Webmail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zone = Zone()
        cls.zone.add("remote.test", "MX", "10 mx.remote.test")
        cls.zone.add("mx.remote.test", "A", HOST)
        port, smtp = free_port(HOST), free_port("127.0.0.1")
        cls.postfix = Postfix(HOST, port, box_port=smtp)
        cls.box = Box(f"""
            [dns]
            servers = ["{cls.zone.address}"]
            dnssec = false
            [outbound]
            remote_port = {port}
            roots = "{cls.postfix.folder}/ca.pem"
            """, smtp=smtp)
        records = cls.box.command("domain", "records", "example.test", "--json")[1]
        for record in json.loads(records):
            if record["type"] == "TXT":
                cls.zone.add(record["name"], "TXT", record["value"])

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()
        cls.postfix.stop()

    def signed_in(self):
        browser = Browser(f"https://{self.box.name}:{self.box.ports['https']}", self.box.tls())
        status, _, page = browser.post("/login", user=self.box.ann[0], password=self.box.ann[1])
        self.assertEqual(status, 200, page)
        # At once, without the moment to call it back.
        browser.post("/mail/settings", token=token(browser.get("/mail/settings")[2]), undo="0", conversations="1")
        return browser

    def write(self, browser, files=(), **fields):
        return write(browser, files, **fields)

    def test_what_is_written_arrives_signed_and_whole(self):
        browser = self.signed_in()
        content = bytes(range(256)) * 400
        status, place, page = self.write(browser, to="Bob Björk <bob@remote.test>", bcc="cy@remote.test", subject="Angebot für Zoë " + "sehr lang " * 12,
                                         body=TEXT, files=[(NAME, content)])
        self.assertEqual((status, place), (200, "/mail/2"), page)
        raw = self.postfix.mails("bob")[-1]
        secret = self.postfix.mails("cy")[-1]
        for one in (raw, secret):
            self.assertNotIn(b"cy@remote.test", one.split(b"\n\n", 1)[0].replace(b"for <cy@remote.test>", b"").replace(b"Delivered-To: cy@remote.test", b"").replace(b"X-Original-To: cy@remote.test", b""))
        crlf = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        for index in (0, 1):
            self.assertTrue(dkim.DKIM(crlf).verify(index, dnsfunc=self.zone.txt), f"signature {index}")
        self.assertLessEqual(max(len(line) for line in raw.split(b"\n")), 998)
        message = email.message_from_bytes(raw, policy=email.policy.default)
        self.assertEqual(message["Subject"], ("Angebot für Zoë " + "sehr lang " * 12).strip())
        self.assertEqual(message["To"].addresses[0].display_name, "Bob Björk")
        self.assertEqual(message["From"].addresses[0].display_name, "Ann Sample")
        text, file = message.iter_parts()
        self.assertEqual(text.get_content().rstrip("\n"), TEXT.rstrip("\n"))
        self.assertEqual((file.get_filename(), file.get_content()), (NAME, content))
        self.assertFalse(message.defects + text.defects + file.defects)
        self.neomutt(raw)

    def neomutt(self, raw):
        """What neomutt shows of it."""
        folder = self.postfix.folder
        with open(folder + "/mbox", "wb") as file:
            file.write(b"From ann@example.test Mon Sep 21 14:13:20 2026\n" + raw + b"\n")
        with open(folder + "/muttrc", "w") as file:
            file.write(f"set pipe_decode=yes wait_key=no quit=yes folder={folder} spoolfile={folder}/mbox\npush '<pipe-message>cat > {folder}/shown<enter><exit>'\n")
        # It wants a terminal.
        done = subprocess.run(["script", "-qec", f"neomutt -n -F {folder}/muttrc -R -f {folder}/mbox", "/dev/null"],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                              env={"TERM": "xterm", "LANG": "C.UTF-8", "HOME": folder, "PATH": "/usr/bin:/bin"})
        with open(folder + "/shown", "rb") as file:
            shown = file.read().decode()
        self.assertIn("Angebot für Zoë", shown, done.stdout)
        self.assertIn("ein langer Satz mit Umlauten äöü", shown)

    def test_a_large_file_goes_through_without_filling_memory(self):
        browser = self.signed_in()
        def memory():
            with open(f"/proc/{self.box.process.pid}/status") as status:
                return {line.split(":")[0]: int(line.split()[1]) for line in status if line.startswith(("VmHWM", "RssAnon"))}
        before = memory()["RssAnon"]
        content = b"0123456789abcdef" * (2 << 20)
        status, place, page = self.write(browser, to=self.box.bob[0], subject="large", body="x", files=[("big.bin", content)])
        self.assertEqual((status, place), (200, "/mail/2"), page[-500:])
        uid = 1 if "big.bin" in browser.get("/mail/2/1")[2] else 2
        connection = http.client.HTTPSConnection(self.box.name, self.box.ports["https"], context=self.box.tls())
        self.addCleanup(connection.close)
        (cookie,) = [found for handler in browser.opener.handlers for found in getattr(handler, "cookiejar", [])]
        connection.request("GET", f"/mail/2/{uid}/part/1", headers={"Cookie": f"{cookie.name}={cookie.value}"})
        answer, got = connection.getresponse(), 0
        while piece := answer.read(1 << 16):
            got += len(piece)
        self.assertEqual(got, len(content))
        self.assertLess(memory()["RssAnon"] - before, 24_000, "KB of memory more for a file of 32 MB")


if __name__ == "__main__":
    unittest.main()
