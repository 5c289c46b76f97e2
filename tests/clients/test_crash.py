"""`kill -9` at random moments under load: what was acknowledged is there, exactly once."""

import collections
import random
import smtplib
import threading
import unittest

from box import Box

ROUNDS = 20
SENDERS = 4


class Sender(threading.Thread):
    """Sends until the server dies; remembers what was acknowledged and what was only tried."""

    def __init__(self, box, people, prefix, seed):
        super().__init__()
        self.box, self.people, self.prefix, self.random = box, people, prefix, random.Random(seed)
        self.acknowledged, self.tried = [], []

    def run(self):
        try:
            smtp = self.box.smtp()
            for n in range(100_000):
                to = self.random.sample(self.people, self.random.choice((1, 1, len(self.people))))
                token = f"{self.prefix}-{n}"
                size = 400_000 if self.random.random() < 0.05 else self.random.randrange(100, 9000)
                content = f"Subject: {token}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)
                self.tried.append((token, to))
                smtp.sendmail("load@example.net", [address for address, _ in to], content)
                self.acknowledged.append(self.tried.pop())
        except (OSError, smtplib.SMTPException):
            pass


class Crash(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_or_doubled(self):
        box = Box()
        people = [box.add_account(f"crash{n}") for n in range(3)]
        chance = random.Random(20261123)
        acknowledged, tried = [], []
        for round_number in range(ROUNDS):
            senders = [Sender(box, people, f"r{round_number}s{n}", chance.random()) for n in range(SENDERS)]
            for sender in senders:
                sender.start()
            threading.Event().wait(chance.uniform(0.05, 0.5))
            box.kill()
            for sender in senders:
                sender.join()
                acknowledged += sender.acknowledged
                tried += sender.tried
            box.serve()
            box.wait()
        self.assertGreater(len(acknowledged), ROUNDS * SENDERS)
        seen = {login: collections.Counter(subject(m) for m in box.mails(login)) for login in people}
        for token, to in acknowledged:
            for login in people:
                self.assertEqual(seen[login].pop(token, 0), 1 if login in to else 0, f"{token} for {login[0]}")
        # Of what was not acknowledged a message may be there, but not twice and not for others.
        unanswered = {token: to for token, to in tried}
        for login, rest in seen.items():
            for token, count in rest.items():
                self.assertEqual(count, 1, token)
                self.assertIn(login, unanswered[token])
        code, said = box.command("check", "--full")
        self.assertEqual(code, 0, said)
        print(f"\n{len(acknowledged)} messages acknowledged in {ROUNDS} rounds, {len(tried)} cut off")
        box.stop()


def subject(content):
    return content.split(b"\r\n", 1)[0].decode().removeprefix("Subject: ")
