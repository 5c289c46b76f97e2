"""`kill -9` while mail goes out: what was accepted reaches the other server, and at most once, but for what the kill
cut off between the other server's 250 and our commit."""

import collections
import random
import smtplib
import socketserver
import threading
import time
import unittest

from box import PATIENCE, Box
from postfix import free_port
from zone import Zone

ROUNDS = 20
SENDERS = 3
HOST = "127.0.0.5"


class Sink(socketserver.ThreadingTCPServer):
    """Another server that acknowledges everything and remembers when."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port):
        super().__init__((HOST, port), Conversation)
        self.lock = threading.Lock()
        self.acknowledged = collections.Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.say("220 sink")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    self.say("250-sink\r\n250-PIPELINING\r\n250 8BITMIME")
                elif verb == b"DATA":
                    self.say("354 go")
                    self.content()
                elif verb == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")
        except OSError:
            pass

    def content(self):
        token = None
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise OSError
            if line.startswith(b"Subject: "):
                token = line[9:].strip().decode()
        with self.server.lock:
            self.server.acknowledged[token] += 1
        self.say("250 taken")

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class Sender(threading.Thread):
    def __init__(self, box, prefix):
        super().__init__()
        self.box, self.prefix, self.accepted, self.tried = box, prefix, [], []

    def run(self):
        try:
            smtp = smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE)
            smtp.login(*self.box.ann)
            for n in range(100_000):
                token = f"{self.prefix}-{n}"
                self.tried.append(token)
                smtp.sendmail(self.box.ann[0], [f"r{n}@sink.test"], f"From: {self.box.ann[0]}\r\nSubject: {token}\r\n\r\nx\r\n")
                self.accepted.append(self.tried.pop())
        except (OSError, smtplib.SMTPException):
            pass


class OutboundCrash(unittest.TestCase):
    def test_accepted_mail_arrives_once(self):
        zone, port = Zone(), free_port(HOST)
        zone.add("sink.test", "MX", "10 mx.sink.test")
        zone.add("mx.sink.test", "A", HOST)
        sink = Sink(port)
        box = Box(f'[dns]\nservers = ["{zone.address}"]\ndnssec = false\n'
                  f'[outbound]\nremote_port = {port}\nretry = [1]\ndaily_recipients = 1000000\n')
        chance = random.Random(20261124)
        accepted, tried = [], []
        for round_number in range(ROUNDS):
            senders = [Sender(box, f"r{round_number}s{n}") for n in range(SENDERS)]
            for sender in senders:
                sender.start()
            # Once everybody's mail flows, however slow the machine is.
            end = time.monotonic() + PATIENCE
            while not all(sender.accepted for sender in senders) and time.monotonic() < end:
                threading.Event().wait(0.02)
            threading.Event().wait(chance.uniform(0, 0.7))
            box.kill()
            for sender in senders:
                sender.join()
                accepted += sender.accepted
                tried += sender.tried
            box.serve()
            box.wait()
        end = time.monotonic() + 60
        while "\n0 recipients in the queue" not in "\n" + box.command("queue", "list", "--limit", "1")[1]:
            self.assertLess(time.monotonic(), end, box.said()[-2000:])
            threading.Event().wait(0.1)
        self.assertGreater(len(accepted), ROUNDS * SENDERS)
        doubled = {token: count for token, count in sink.acknowledged.items() if count > 1}
        for token in accepted:
            self.assertGreaterEqual(sink.acknowledged[token], 1, f"{token} was accepted and never arrived")
        # Between the sink's 250 and our commit lie a few messages a worker at most, and one kill a round.
        self.assertLessEqual(len(doubled), ROUNDS * WORKERS * UNSETTLED)
        for token in sink.acknowledged:
            self.assertTrue(token in set(accepted) or token in set(tried), f"{token} was never accepted")
        code, said = box.command("check", "--full")
        self.assertEqual(code, 0, said)
        print(f"\n{len(accepted)} messages accepted in {ROUNDS} rounds, all arrived; {len(doubled)} twice, "
              f"cut off between the other server's 250 and our commit")
        box.stop()
        sink.shutdown()
        sink.server_close()


# Connections to one destination, and messages of each whose commit may be under way.
WORKERS, UNSETTLED = 4, 9


if __name__ == "__main__":
    unittest.main()
