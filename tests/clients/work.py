"""People at work on a server that is about to die, and the record of what it acknowledged to them.

A message is identified by the token in its subject. For each fact (where it is, whether it is flagged) the record holds what
is possible: one value once the server acknowledged, two while an answer is missing."""

import collections
import copy
import hashlib
import http.client
import poplib
import random
import re
import socket
import smtplib
import threading
import urllib.error

from box import PATIENCE, raw, strip_trace
from test_web import Browser, token

INBOX, TRASH, NOWHERE = "1", "4", "nowhere"
# What a server that dies does to those who talk to it.
CUT_OFF = (OSError, EOFError, smtplib.SMTPException, poplib.error_proto, http.client.HTTPException, urllib.error.URLError)


class Record:
    """What is possible, by mailbox and token."""

    def __init__(self):
        self.lock = threading.Lock()
        self.digests = {}
        self.places = collections.defaultdict(dict)
        self.flags = collections.defaultdict(dict)
        self.acknowledged = 0

    def begin(self, facts, login, tokens, *values):
        with self.lock:
            for one in tokens:
                facts[login][one] = facts[login].get(one, set()) | set(values)

    def settle(self, facts, login, tokens, value):
        with self.lock:
            for one in tokens:
                facts[login][one] = {value}
            self.acknowledged += len(tokens)

    def at_this_instant(self):
        with self.lock:
            frozen = Record()
            frozen.digests = dict(self.digests)
            frozen.places, frozen.flags = copy.deepcopy(self.places), copy.deepcopy(self.flags)
            frozen.acknowledged = self.acknowledged
            return frozen

    def faults(self, found):
        """Compares it with what a server has, `Found` by mailbox; returns one line for each fault, and afterwards knows only
        what is there."""
        lines = []
        for login, seen in found.items():
            for one in set(self.places[login]) | set(seen.places):
                places = seen.places.get(one, [])
                possible = self.places[login].get(one, {NOWHERE})
                name = f"{one} of {login[0]}"
                if len(places) > 1:
                    lines.append(f"{name} is there {len(places)} times: {places}")
                place = places[0] if places else NOWHERE
                if place not in possible:
                    lines.append(f"{name} is in {place}, and should be in {sorted(possible)}")
                if one in seen.digests and seen.digests[one] != self.digests.get(one):
                    lines.append(f"{name} has other octets")
                if one in seen.flags:
                    if seen.flags[one] not in self.flags[login].get(one, {False}):
                        lines.append(f"{name} is {'' if seen.flags[one] else 'not '}flagged")
                    self.flags[login][one] = {seen.flags[one]}
                self.places[login][one] = {place}
            for facts in (self.places, self.flags):
                facts[login] = {one: values for one, values in facts[login].items() if self.places[login].get(one) != {NOWHERE}}
        return lines


class Found:
    """What a mailbox holds: places and digests by token, and flags where webmail was asked."""

    def __init__(self, box, login, with_flags):
        self.places, self.flags, self.digests = collections.defaultdict(list), {}, {}
        session = box.pop3s(login)
        for n in range(session.stat()[0]):
            content = strip_trace(raw(session, n + 1))
            one = subject(content)
            self.places[one].append(INBOX)
            self.digests[one] = hashlib.sha256(content).digest()
        session.quit()
        if with_flags:
            browser = sign_in(box, login)
            for _, one, is_flagged in rows(browser, INBOX):
                self.flags[one] = is_flagged
            for _, one, _ in rows(browser, TRASH):
                self.places[one].append(TRASH)


def subject(content):
    return content.split(b"\r\n", 1)[0].decode().removeprefix("Subject: ")


def sign_in(box, login):
    browser = Browser(f"https://{box.name}:{box.ports['https']}", box.tls())
    browser.post("/login", user=login[0], password=login[1])
    # Each message a row of its own.
    browser.post("/mail/settings", token=token(browser.get("/mail/settings")[2]), undo="0")
    return browser


def rows(browser, folder, pages=1000):
    """(id, token, is flagged) of each row of the lists, newest first."""
    found, path = [], f"/mail/{folder}"
    for _ in range(pages):
        page = browser.get(path)[2]
        for row in re.findall(r'<li class="row-mail.*?</li>', page, re.S):
            one = re.search(r'class="subject">(.*?)</span>', row, re.S)[1]
            found.append((re.search(r'data-id="([^"]+)"', row)[1], one, 'class="star"' in row))
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if not older:
            break
        path = older[1].replace("&amp;", "&")
    return found


class Worker(threading.Thread):
    """Works until the server dies or `is_over` is set."""

    def __init__(self, box, record, name, seed):
        super().__init__(name=name, daemon=True)
        self.box, self.record, self.random = box, record, random.Random(seed)
        self.is_over, self.fault, self.steps = threading.Event(), None, 0
        self.start()

    def run(self):
        try:
            self.begin()
            while not self.is_over.is_set():
                self.step(f"{self.name}-{self.steps}")
                self.steps += 1
        except CUT_OFF:
            pass
        except Exception as error:  # A fault of the test itself must not look like a server that died.
            self.fault = error
        finally:
            self.end()

    def begin(self):
        """Before the first step."""

    def end(self):
        """After the last one."""


class Sender(Worker):
    """Mail from outside, commands pipelined (RFC 2920), to one person or to all."""

    def __init__(self, box, record, people, name, seed, sizes=(100, 9000), to_all=0.2):
        self.people, self.sizes, self.to_all = people, sizes, to_all
        self.socket = self.lines = None
        super().__init__(box, record, name, seed)

    def begin(self):
        self.socket = socket.create_connection((self.box.facts["host"], self.box.ports["smtp"]), timeout=PATIENCE)
        self.lines = self.socket.makefile("rb")
        self.replies(1)
        self.socket.sendall(b"EHLO client.example\r\n")
        self.replies(1)

    def end(self):
        for one in (self.lines, self.socket):
            if one:
                one.close()

    def replies(self, count):
        while count:
            line = self.lines.readline()
            if line[:1] not in (b"2", b"3"):
                raise OSError(f"no reply to go on with: {line}")
            count -= line[3:4] != b"-"

    def step(self, one):
        to = self.people if self.random.random() < self.to_all else [self.random.choice(self.people)]
        # Now and then a large one that the journal takes, and one with a file of its own.
        kind = self.random.random()
        size = 400_000 if kind < 0.01 else 2_500_000 if kind < 0.012 else self.random.randrange(*self.sizes)
        line = self.random.randbytes(35).hex() + "\r\n"
        content = f"Subject: {one}\r\n\r\n{line * (size // 72 + 1)}".encode()
        self.record.digests[one] = hashlib.sha256(content).digest()
        for login in to:
            self.record.begin(self.record.places, login, [one], NOWHERE, INBOX)
        commands = "".join(f"RCPT TO:<{address}>\r\n" for address, _ in to)
        self.socket.sendall(f"MAIL FROM:<load@example.net>\r\n{commands}DATA\r\n".encode())
        self.replies(len(to) + 2)
        self.socket.sendall(content + b".\r\n")
        self.replies(1)
        for login in to:
            self.record.settle(self.record.places, login, [one], INBOX)


class Fetcher(Worker):
    """A mail program that fetches some messages and deletes them: a deletion counts with the answer to QUIT."""

    def __init__(self, box, record, login, name, seed, share=0.3, most=40):
        self.login, self.share, self.most = login, share, most
        super().__init__(box, record, name, seed)

    def step(self, _):
        session = self.box.pop3s(self.login)
        try:
            count = session.stat()[0]
            chosen = self.random.sample(range(1, count + 1), min(self.most, int(count * self.share)))
            self.delete(session, chosen)
        finally:
            session.close()
        self.is_over.wait(0.02)

    def delete(self, session, chosen):
        names = []
        for number in chosen:
            content = strip_trace(raw(session, number))
            session.dele(number)
            names.append(subject(content))
        self.record.begin(self.record.places, self.login, names, NOWHERE)
        session.quit()
        self.record.settle(self.record.places, self.login, names, NOWHERE)


class Reader(Worker):
    """Somebody with webmail open: flags, takes flags off, deletes into the trash."""

    def __init__(self, box, record, login, name, seed):
        self.login = login
        super().__init__(box, record, name, seed)

    def begin(self):
        self.browser = sign_in(self.box, self.login)

    def step(self, _):
        found = rows(self.browser, INBOX, pages=1)
        if not found:
            self.is_over.wait(0.02)
            return
        number, one, is_flagged = self.random.choice(found)
        act = self.random.choice(("unflag" if is_flagged else "flag",) * 4 + ("delete",))
        facts, value = (self.record.places, TRASH) if act == "delete" else (self.record.flags, act == "flag")
        if act != "delete":
            self.record.begin(facts, self.login, [one], is_flagged)
        self.record.begin(facts, self.login, [one], value)
        page = self.browser.get(f"/mail/{INBOX}")[2]
        status, place, _ = self.browser.post("/mail/act", token=token(page), id=number, order=act, back=f"/mail/{INBOX}")
        if status != 200 or not place.startswith("/mail/"):
            raise OSError(f"webmail answered {status} {place}")
        self.record.settle(facts, self.login, [one], value)


def join(workers):
    """Waits until all have ended, as they do when the server dies."""
    for worker in workers:
        worker.join(PATIENCE)
        if worker.fault:
            raise worker.fault
