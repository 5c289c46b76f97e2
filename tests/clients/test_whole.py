"""What goes in comes out, octet for octet: on every way, however it is cut into pieces, at sizes around every limit."""

import base64
import email
import email.policy
import random
import socket
import threading
import time
import unittest
import urllib.request
import uuid

from box import PATIENCE, Box
from postfix import free_port
from sink import Sink
from test_web import Browser, token
from zone import Zone

EIGHT, SEVEN = "127.0.0.21", "127.0.0.22"
# What the program keeps in memory, hands to the disk, reads at once, and what a page holds.
LIMITS = (4096, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 384 << 10, 1 << 20)
SIZES = [limit + more for limit in LIMITS for more in (-1, 0, 1)] + [250_000, 280_000, 700_001]


def message(size, to, number, head=b""):
    """A message of exactly so many octets whose lines are all different; some begin with dots."""
    header = b"From: ann@example.test\r\nTo: %s\r\nSubject: whole %d\r\nMessage-ID: <whole-%d@example.test>\r\nDate: Mon, 21 Sep 2026 14:13:20 +0000\r\n%s\r\n" % (
        to, number, number, head)
    body, line = bytearray(), 0
    while len(header) + len(body) < size:
        body += (b".%d.%07d\r\n" if line % 7 == 0 else b"%d line %07d abcdefghijklmnopqrstuvwxyz\r\n") % (number, line)
        line += 1
    content = header + bytes(body)
    return content[:size - 2].rstrip(b"\r\n").ljust(size - 2, b"z") + b"\r\n"


def pieces(content, random):
    """The content in pieces of all kinds: single octets, small ones among large ones, what a network makes of it."""
    at = 0
    while at < len(content):
        size = random.choice((1, 2, 800, 1460, 16_000, 32_768, 65_536, 131_072, 250_000))
        yield content[at:at + size]
        at += size


class Line:
    """A connection that sends in pieces and reads replies."""

    def __init__(self, port, hello=b"whole.test"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        self.reply()
        self.say(b"EHLO " + hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def reply(self):
        while True:
            line = self.lines.readline()
            if line[3:4] != b"-":
                return line

    def say(self, line):
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def send(self, content, random):
        for piece in pieces(content, random):
            self.socket.sendall(piece)
            if random.random() < 0.3:
                # So that the next piece is one of its own where it arrives.
                threading.Event().wait(0.002)

    def data(self, content, random):
        assert self.say(b"DATA").startswith(b"354")
        self.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n", random)
        return self.reply()

    def chunks(self, content, random):
        cuts = sorted(random.sample(range(len(content)), 2))
        for start, end, last in ((0, cuts[0], b""), (cuts[0], cuts[1], b""), (cuts[1], len(content), b" LAST")):
            self.socket.sendall(b"BDAT %d%s\r\n" % (end - start, last))
            self.send(content[start:end], random)
            reply = self.reply()
        return reply


class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zone = Zone()
        port = free_port(EIGHT)
        for name, host in (("eight.test", EIGHT), ("seven.test", SEVEN)):
            cls.zone.add(name, "MX", f"10 mx.{name}")
            cls.zone.add(f"mx.{name}", "A", host)
        cls.eight, cls.seven = Sink(EIGHT, port), Sink(SEVEN, port, offers=())
        cls.box = Box(f"""
            [dns]
            servers = ["{cls.zone.address}"]
            dnssec = false
            [outbound]
            remote_port = {port}
            daily_recipients = 100000
            """)
        cls.login = cls.box.add_account("whole")
        cls.random = random.Random(20261126)

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()
        cls.eight.stop()
        cls.seven.stop()

    def transfer(self, content, how):
        with Line(self.box.ports["smtp"]) as line:
            line.say(b"MAIL FROM:<ann@example.test> BODY=8BITMIME")
            line.say(b"RCPT TO:<%s>" % self.login[0].encode())
            reply = how(line, content, self.random)
        self.assertTrue(reply.startswith(b"250"), reply)

    def submit(self, content, to):
        with Line(self.box.ports["submission"]) as line:
            line.say(b"STARTTLS")
            line.lines.close()
            line.socket = self.box.tls().wrap_socket(line.socket, server_hostname=self.box.name)
            line.lines = line.socket.makefile("rb")
            line.say(b"EHLO whole.test")
            secret = base64.b64encode(f"\0{self.box.ann[0]}\0{self.box.ann[1]}".encode())
            self.assertTrue(line.say(b"AUTH PLAIN " + secret).startswith(b"235"))
            line.say(b"MAIL FROM:<%s> BODY=8BITMIME" % self.box.ann[0].encode())
            line.say(b"RCPT TO:<%s>" % to)
            reply = line.data(content, self.random)
        self.assertTrue(reply.startswith(b"250"), reply)

    def eventually(self, messages, number):
        wanted = b"Subject: whole %d\r\n" % number
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = [m for m in messages if wanted in m[:4000]]
            if found:
                return found[-1]
            threading.Event().wait(0.02)
        self.fail(f"message {number} did not arrive: {self.box.said()[-2000:]}")

    def test_port_25_and_pop3(self):
        self.box.empty(self.login)
        sent = []
        for how in (Line.data, Line.chunks):
            for size in SIZES:
                sent.append(message(size, self.login[0].encode(), len(sent)))
                self.transfer(sent[-1], how)
        got = self.box.mails(self.login)
        self.assertEqual(len(got), len(sent))
        for wanted, came in zip(sent, got):
            self.assertTrue(wanted == came, f"a message of {len(wanted)} octets came back as another of {len(came)}")

    def test_submission_to_a_mailbox_here(self):
        self.box.empty(self.login)
        sent = [message(size, self.login[0].encode(), 1000 + size) for size in SIZES]
        for content in sent:
            self.submit(content, self.login[0].encode())
        for wanted, came in zip(sent, self.box.mails(self.login)):
            self.assertTrue(wanted == came, f"a message of {len(wanted)} octets came back as another of {len(came)}")

    def test_outbound_as_it_is(self):
        for number, size in enumerate(SIZES, 2000):
            content = message(size, b"x@eight.test", number)
            self.submit(content, b"x@eight.test")
            came = self.eventually(self.eight.messages, number)
            self.assertTrue(came.endswith(content), f"a message of {size} octets went out as another of {len(came)}")

    def test_outbound_converted_to_seven_bits(self):
        head = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        for number, size in enumerate(SIZES, 3000):
            content = message(size, b"x@seven.test", number, head).replace(b" line ", "läne ".encode())
            self.submit(content, b"x@seven.test")
            came = self.eventually(self.seven.messages, number)
            self.assertTrue(came.isascii())
            self.assertLessEqual(max(map(len, came.split(b"\r\n"))), 998)
            text = email.message_from_bytes(came, policy=email.policy.default).get_payload(decode=True)
            wanted = content.split(b"\r\n\r\n", 1)[1]
            self.assertTrue(text.replace(b"\r\n", b"\n") == wanted.replace(b"\r\n", b"\n"), f"the text of {size} octets was changed")

    def test_files_written_in_the_browser(self):
        browser = Browser(f"https://{self.box.name}:{self.box.ports['https']}", self.box.tls())
        browser.post("/login", user=self.box.ann[0], password=self.box.ann[1])
        browser.post("/mail/settings", token=token(browser.get("/mail/settings")[2]), undo="0", conversations="1")
        self.box.empty(self.login)
        files = [self.random.randbytes(size) for size in SIZES]
        for number, content in enumerate(files):
            boundary = uuid.uuid4().hex
            fields = {"token": token(browser.get("/compose")[2]), "order": "anyway", "to": self.login[0], "subject": f"file {number}", "body": "x"}
            body = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items())
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
            body += content + f"\r\n--{boundary}--\r\n".encode()
            headers = {"Origin": browser.base, "Content-Type": f"multipart/form-data; boundary={boundary}"}
            status, place, page = browser.ask(urllib.request.Request(browser.base + "/compose", data=body, headers=headers))
            self.assertEqual((status, place), (200, "/mail/2"), page)
        came = [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.box.mails(self.login)]
        self.assertEqual(len(came), len(files))
        for wanted, mail in zip(files, came):
            found = [part.get_content() for part in mail.iter_attachments()]
            self.assertTrue(found == [wanted], f"a file of {len(wanted)} octets arrived as another")


if __name__ == "__main__":
    unittest.main()
