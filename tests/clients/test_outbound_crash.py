"""`kill -9` while mail goes out: what was accepted reaches the other server, and at most once, but for what the kill
cut off between the other server's 250 and our commit."""

import os
import random
import threading
import time
import unittest

from box import PATIENCE, Box
from outside import UNSETTLED, WORKERS, Sink, Submitter
from postfix import free_port
from zone import Zone

ROUNDS = int(os.environ.get("PILLARBOX_KILLS", 20))
SENDERS = 3
HOST = "127.0.0.5"


class OutboundCrash(unittest.TestCase):
    def test_accepted_mail_arrives_once(self):
        zone, port = Zone(), free_port(HOST)
        zone.add("sink.test", "MX", "10 mx.sink.test")
        zone.add("mx.sink.test", "A", HOST)
        sink = Sink(HOST, port)
        box = Box(f'[dns]\nservers = ["{zone.address}"]\ndnssec = false\n'
                  f'[outbound]\nremote_port = {port}\nretry = [1]\ndaily_recipients = 1000000\n')
        chance = random.Random(20261124)
        accepted, tried = [], []
        for round_number in range(ROUNDS):
            senders = [Submitter(box, f"r{round_number}s{n}") for n in range(SENDERS)]
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
        sink.stop()


if __name__ == "__main__":
    unittest.main()
