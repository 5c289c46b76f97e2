"""The card as it fails: full to the last octet, out of files, read-only, a damaged message. Reading and deleting go on."""

import glob
import json
import os
import poplib
import re
import smtplib
import threading
import time
import unittest
import urllib.error
import urllib.request

from box import PATIENCE, Box
from disks import Card, Memory
from test_web import Browser, token, write

POST = b"From: a@example.net\r\nSubject: %d\r\n\r\n" + b"x" * 60 + b"\r\n"


def health(box):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{box.ports['http']}/health", timeout=PATIENCE) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as answer:
        return json.load(answer)


def until(look, wanted):
    """Looks until what is wanted is seen, or the patience ends; gives what was seen last."""
    end = time.monotonic() + PATIENCE
    seen = look()
    while not wanted(seen) and time.monotonic() < end:
        threading.Event().wait(0.1)
        seen = look()
    return seen


def signed_in(box):
    """The owner's browser, and the home page."""
    browser = Browser(f"https://{box.name}:{box.ports['https']}", box.tls())
    browser.post("/login", user=box.ann[0], password=box.ann[1])
    return browser, browser.get("/home")[2]


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.disk = Memory(110)
        self.addCleanup(self.disk.close)
        self.box = Box(folder=self.disk.place)
        self.addCleanup(self.box.stop)
        # What this mailbox's programs delete is gone from the disk, too.
        self.login = self.box.add_account("full", policy="delete")

    def count(self):
        session = self.box.pop3s(self.login)
        count = session.stat()[0]
        session.quit()
        return count

    def burst(self, size):
        """Mail as fast as it goes until the box says later; gives the number that was taken and the refusal."""
        content = POST % 1 + (b"y" * 70 + b"\r\n") * (size // 72)
        with self.box.smtp() as smtp:
            for number in range(20_000):
                try:
                    smtp.sendmail("a@example.net", [self.login[0]], content)
                except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as refused:
                    return number, refused.smtp_code
        self.fail("the disk never got full")

    def test_a_burst_leaves_the_reserve_alone_and_at_no_octet_left_mail_is_still_deleted(self):
        for size in (60_000, 400_000):
            taken, code = self.burst(size)
            self.assertEqual(code, 452)
            self.assertGreater(self.disk.free(), 60 << 20, "the reserve of 64 MiB is for more than a second")
        # A write may be cut short by the end of the disk, which is no fault of the card.
        for left in (0, 2, 4, 5, 6, 9):
            with self.subTest(pages=left):
                self.box.kill()
                self.disk.fill()
                self.disk.leave(left * 4096)
                self.box.serve()
                self.box.wait()
                self.assertFalse(health(self.box)["ok"])
                self.assertEqual(health(self.box)["troubles"], ["no-space"])
        before = self.count()
        self.assertGreater(before, 20)
        session = self.box.pop3s(self.login)
        for number in range(1, 21):
            session.dele(number)
        session.quit()
        self.assertEqual(self.count(), before - 20)
        self.box.empty(self.login)
        self.assertEqual(self.count(), 0)
        os.remove(os.path.join(self.disk.place, "filler"))
        self.assertTrue(until(lambda: health(self.box)["ok"], bool))
        self.box.send(self.login[0], POST % 2)
        self.assertEqual(self.count(), 1)


class FewFiles(unittest.TestCase):
    def test_a_disk_without_files_left_refuses_mail_and_says_why(self):
        disk = Memory(300, files=800)
        self.addCleanup(disk.close)
        box = Box(folder=disk.place)
        self.addCleanup(box.stop)
        for number in range(600):
            try:
                open(os.path.join(disk.place, f"f{number}"), "w").close()
            except OSError:
                break
        self.assertIn("no-files", until(lambda: health(box)["troubles"], bool))
        with self.assertRaises(smtplib.SMTPSenderRefused) as refused:
            box.send(box.ann[0], POST % 3)
        self.assertEqual(refused.exception.smtp_code, 452)


class ReadOnlyCard(unittest.TestCase):
    def setUp(self):
        self.card = Card(220)
        self.addCleanup(self.card.close)
        self.box = Box(folder=self.card.place, log=os.path.dirname(self.card.place))
        self.addCleanup(self.end)

    def end(self):
        self.box.kill()
        self.box.log.close()

    def reads(self):
        """What has to go on, whatever the card does: fetching, signing in, reading in the browser."""
        session = self.box.pop3s(self.box.ann)
        self.assertGreater(len(session.retr(1)[1]), 3)
        session.quit()
        browser, home = signed_in(self.box)
        self.assertIn("card takes nothing any more", home)
        listed = browser.get("/mail/1")[2]
        link = re.search(r"/mail/1/[0-9]+", listed)[0]
        self.assertEqual(browser.get(link)[0], 200, "an unread message is read")

    def writes(self):
        """What can't be written is said with the same words by every page, and no letter is lost."""
        said = "card takes nothing any more"
        browser, _ = signed_in(self.box)
        for order in ("anyway", "draft", "autosave"):
            for files in ((), (("a.txt", b"x"),), (("b.bin", bytes(600_000)),)):
                letter = {"to": self.box.bob[0], "subject": "My subject", "body": "My words", "order": order}
                status, _, page = write(browser, files, **letter)
                self.assertEqual(status, 503, page)
                for text in (said, "My words", "My subject", self.box.bob[0]):
                    self.assertIn(text, page)
        for path, form in (
            ("/programs/password", {"old": self.box.ann[1], "new": "another long password"}),
            ("/programs/device", {"name": "phone"}),
            ("/people", {"address": "new"}),
            ("/domains", {"order": "add", "domain": "new.test"}),
            ("/name", {"name": "mail.new.test"}),
            ("/mail/settings", {"signature": "x"}),
        ):
            status, _, page = browser.post(path, token=token(browser.get("/security")[2]), **form)
            self.assertEqual((status, said in page), (503, True), f"{path}: {page}")

    def test_what_is_there_can_be_read_and_everything_says_that_nothing_can_be_written(self):
        self.assertTrue(health(self.box)["ok"])
        self.card.break_down()
        self.assertFalse(until(lambda: health(self.box)["ok"], lambda ok: not ok))
        self.assertIn("unwritable", health(self.box)["troubles"])
        with self.assertRaises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError)) as refused:
            self.box.send(self.box.ann[0], POST % 4)
        self.assertEqual(refused.exception.smtp_code, 451)
        self.reads()
        self.writes()
        # A start on such a card serves what can be read, too.
        self.box.kill()
        self.box.serve()
        self.box.wait()
        self.assertIn("unwritable", health(self.box)["troubles"])
        self.reads()
        self.writes()


class DamagedMessage(unittest.TestCase):
    def test_a_damaged_large_message_does_not_keep_the_later_ones_from_coming(self):
        box = Box()
        self.addCleanup(box.stop)
        box.empty(box.ann)
        large = POST % 5 + b"".join(b"%08d large\r\n" % number for number in range(200_000))
        for content in (large, POST % 6, large.replace(b"large", b"other"), POST % 7):
            box.send(box.ann[0], content)
        first, second = sorted(glob.glob(os.path.join(box.folder, "demo/data/blobs/*")), key=os.path.getmtime)
        with open(first, "r+b") as file:
            file.seek(900_000)
            file.write(b"?")
        os.remove(second)
        for _ in range(2):
            session = box.pop3s(box.ann)
            for number in (1, 3):
                with self.assertRaises(poplib.error_proto) as refused:
                    session.retr(number)
                self.assertIn(b"SYS/PERM", refused.exception.args[0])
            for number in (2, 4):
                self.assertTrue(session.retr(number)[0].startswith(b"+OK"))
            session.quit()
        self.assertIn("damaged", health(box)["troubles"])
        browser, home = signed_in(box)
        self.assertIn("2 messages are damaged", home)
        links = re.findall(r"/mail/1/[0-9]+", browser.get("/mail/1")[2])
        pages = [browser.get(link)[2] for link in dict.fromkeys(links)]
        self.assertEqual(sum("This message is damaged" in page for page in pages), 2)


if __name__ == "__main__":
    unittest.main()
