"""`kill -9` at random moments while mail comes in, programs fetch and delete, webmail flags and deletes, and mail goes out to
another server: what was acknowledged is there, exactly once and octet for octet.

A few rounds are everyday; `PILLARBOX_KILLS=50` makes fifty."""

import os
import random
import threading
import time
import unittest

from box import PATIENCE, Box
from outside import UNSETTLED, WORKERS, Sink, Submitter
from postfix import free_port
from work import Fetcher, Found, Reader, Record, Sender, join
from zone import Zone

ROUNDS = int(os.environ.get("PILLARBOX_KILLS", 6))
SENDERS = 4
HOST = "127.0.0.6"


class Crash(unittest.TestCase):
    def test_nothing_acknowledged_is_lost_or_doubled(self):
        zone, port = Zone(), free_port(HOST)
        zone.add("sink.test", "MX", "10 mx.sink.test")
        zone.add("mx.sink.test", "A", HOST)
        sink = Sink(HOST, port)
        self.addCleanup(sink.stop)
        box = Box(f'[dns]\nservers = ["{zone.address}"]\ndnssec = false\n'
                  f'[outbound]\nremote_port = {port}\nretry = [1]\ndaily_recipients = 1000000\n')
        people = [box.add_account(f"crash{n}") for n in range(3)]
        reader, fetcher = people[:2]
        chance, record = random.Random(20261123), Record()
        submitted, tried, faults = [], [], []
        for round_number in range(ROUNDS):
            name = f"r{round_number}"
            workers = [Sender(box, record, people, f"{name}s{n}", chance.random()) for n in range(SENDERS)]
            workers.append(Fetcher(box, record, fetcher, f"{name}f", chance.random()))
            workers.append(Reader(box, record, reader, f"{name}w", chance.random()))
            submitter = Submitter(box, f"{name}o")
            self.wait_for(lambda: all(worker.steps for worker in workers) and submitter.accepted)
            threading.Event().wait(chance.uniform(0, 0.7))
            box.kill()
            join(workers)
            submitter.join()
            submitted += submitter.accepted
            tried += submitter.tried
            box.serve()
            box.wait()
            faults += record.faults({login: Found(box, login, login == reader) for login in people})
        self.assertEqual(faults[:20], [])
        self.assertGreater(record.acknowledged, ROUNDS * SENDERS)
        code, said = box.command("check", "--full")
        self.assertEqual(code, 0, said)
        self.wait_for(lambda: "\n0 recipients in the queue" in "\n" + box.command("queue", "list", "--limit", "1")[1])
        missing = [one for one in submitted if not sink.acknowledged[one]]
        self.assertEqual(missing, [], "accepted, and never arrived")
        self.assertLessEqual(set(sink.acknowledged), set(submitted) | set(tried), "arrived, and was never submitted")
        doubled = sum(count > 1 for count in sink.acknowledged.values())
        self.assertLessEqual(doubled, ROUNDS * WORKERS * UNSETTLED)
        print(f"\n{ROUNDS} kills: {record.acknowledged} effects acknowledged, {len(faults)} lost, doubled or changed; "
              f"{len(submitted)} messages to others, all arrived, {doubled} twice (cut off between the other server's 250 and our commit)")
        box.stop()

    def wait_for(self, condition):
        """However slow the machine is."""
        end = time.monotonic() + 2 * PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end)
            threading.Event().wait(0.05)


if __name__ == "__main__":
    unittest.main()
