"""The load of test_hostile.py, run in a network of its own whose 203.0.113.0/24 and 198.51.100.0/24 are strangers.

Everything that once stopped the box, at the same time and bounded in number and time, while honest people go on. Prints one
line of JSON: how long each honest answer took at most (seconds), what memory the server took (megabytes), the longest silence of its
watchdog (seconds), and what the hostile ones heard.
"""

import collections
import concurrent.futures
import contextlib
import json
import os
import poplib
import smtplib
import socket
import sys
import threading
import time
import urllib.request
import uuid

from box import Box
from test_web import Browser, token

SECONDS = 30
# What was seen to kill the server: formatting elements that each paragraph opens anew.
BOMB = "".join(f"<p><font color={n}>" for n in range(2600))
DEEP = "<div>" * 100_000 + "deep"
LONG = "<div>" * 60_000 + "letter"
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nNOTE:" + "n" * 80_000 + "\r\n" + "".join(f"EMAIL:a{n}@example.net\r\n" for n in range(3500)) + "END:VCARD\r\n"
# A hundred people with a long note and fifty addresses each: small as a file, large when each address has its note.
CARDS = "".join(
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:x\r\nNOTE:" + "\U0001f600" * 990 + "\r\nNOTE:" + "\U0001f600" * 1009 + "\r\n"
    + "".join(f"EMAIL:a{who}x{n}@example.net\r\n" for n in range(50)) + "END:VCARD\r\n" for who in range(100))


def html(body, subject):
    return f"From: x@example.net\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n".encode() + "\r\n".join(
        body[at:at + 900] for at in range(0, len(body), 900)).encode() + b"\r\n"


class Honest:
    """Somebody who does the same thing again and again; remembers the longest answer, and what went wrong."""

    def __init__(self, name, work):
        self.name, self.work, self.longest, self.count, self.wrong = name, work, 0, 0, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.stop = threading.Event()
        self.thread.start()

    def run(self):
        while not self.stop.wait(0.3):
            began = time.monotonic()
            try:
                self.work()
            except Exception as error:  # noqa: BLE001: whatever it is, it is told
                self.wrong.append(repr(error)[:200])
            self.longest = max(self.longest, time.monotonic() - began)
            self.count += 1

    def end(self):
        self.stop.set()
        self.thread.join(60)
        return {"longest": round(self.longest, 2), "count": self.count, "wrong": self.wrong[:5]}


class Watchdog(threading.Thread):
    """Stands where systemd listens."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.beats = []
        self.start()

    def run(self):
        while True:
            if b"WATCHDOG=1" in self.socket.recv(4096):
                self.beats.append(time.monotonic())

    def longest_silence(self, began):
        beats = [began, *(at for at in self.beats if at > began), time.monotonic()]
        return max(later - earlier for earlier, later in zip(beats, beats[1:]))


class Memory(threading.Thread):
    """Looks at what the server takes."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most = pid, {}
        self.start()

    def run(self):
        while True:
            with contextlib.suppress(OSError, StopIteration):
                with open(f"/proc/{self.pid}/smaps_rollup") as facts:
                    pss = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in facts if line.startswith("Pss")}
                if pss["Pss"] > self.most.get("Pss", 0):
                    self.most = pss
            time.sleep(0.1)


class Hostile:
    def __init__(self, box):
        self.box, self.heard, self.open = box, collections.Counter(), []
        self.to = box.ann[0].encode()

    def connect(self, source, service):
        connection = socket.create_connection(("127.0.0.1", self.box.ports[service]), timeout=10, source_address=(source, 0))
        connection.settimeout(3)
        return connection

    def silent(self, source, size=b"", octets=0):
        """A message that is begun and never ends."""
        try:
            connection = self.connect(source, "smtp")
            said = connection.recv(1000)
            for line in (b"EHLO x", b"MAIL FROM:<>" + size, b"RCPT TO:<" + self.to + b">", b"DATA"):
                connection.sendall(line + b"\r\n")
                said = connection.recv(1000)
            connection.sendall(b"Subject: x\r\n\r\n")
            for _ in range(octets // 10_000):
                connection.sendall(b"x" * 9_998 + b"\r\n")
            self.open.append(connection)
            self.heard["silent: " + said[:3].decode()] += 1
        except OSError as error:
            self.heard["silent: " + type(error).__name__] += 1

    def held(self, source):
        """A request whose body never comes."""
        try:
            connection = self.connect(source, "http")
            connection.sendall(b"POST /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: mail.example.test\r\nContent-Length: 1000\r\n\r\nx")
            self.open.append(connection)
            self.heard["held"] += 1
        except OSError as error:
            self.heard["held: " + type(error).__name__] += 1

    def guess(self, source, number):
        try:
            connection = self.connect(source, "pop3")
            connection.settimeout(20)
            connection.recv(1000)
            connection.sendall(b"STLS\r\n")
            connection.recv(1000)
            tls = self.box.tls().wrap_socket(connection, server_hostname=self.box.name)
            session = poplib.POP3.__new__(poplib.POP3)
            session.sock, session.file, session._debugging, session._tls_established = tls, tls.makefile("rb"), 0, True
            session.user(self.box.ann[0])
            session.pass_(f"guess {number}")
        except (OSError, poplib.error_proto) as error:
            self.heard["guess: " + (str(error)[:30] if isinstance(error, poplib.error_proto) else type(error).__name__)] += 1

    def letter(self, browser, body):
        boundary = uuid.uuid4().hex
        fields = {"token": token(browser.get("/compose")[2]), "order": "draft", "to": "x@example.net", "subject": "x", "body": "", "html": body}
        data = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items())
        headers = {"Origin": browser.base, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        status = browser.ask(urllib.request.Request(browser.base + "/compose", data=data + f"--{boundary}--\r\n".encode(), headers=headers))[0]
        self.heard[f"letter: {status}"] += 1  # 400 with the letter as plain text, as it is too deep

    def card(self, browser, cards):
        boundary = uuid.uuid4().hex
        part = '--{}\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
        data = part.format(boundary, "token", "", token(browser.get("/mail/contacts")[2]))
        data += part.format(boundary, "file", '; filename="c.vcf"', cards) + f"--{boundary}--\r\n"
        headers = {"Origin": browser.base, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        status = browser.ask(urllib.request.Request(browser.base + "/mail/contacts/file", data=data.encode(), headers=headers))[0]
        self.heard[f"card: {status}"] += 1

    def read(self, browser, path):
        self.heard[f"read: {browser.get(path)[0]}"] += 1


def signed_in(box, login):
    browser = Browser(f"https://{box.name}:{box.ports['https']}", box.tls())
    browser.post("/login", user=login[0], password=login[1])
    return browser


def attempt(work, *words):
    """Hostile work that may fail in any way; only the honest count."""
    with contextlib.suppress(Exception):
        work(*words)


def main():
    cgroup = sys.argv[1] if len(sys.argv) > 1 else ""
    watchdog_folder = os.environ["HOSTILE_FOLDER"]
    watchdog = Watchdog(watchdog_folder)
    os.environ["NOTIFY_SOCKET"] = watchdog.path
    into = ("sh", "-c", f'echo $$ > {cgroup}/cgroup.procs && exec "$@"', "sh") if cgroup else ()
    box = Box(prefix=into)
    del os.environ["NOTIFY_SOCKET"]
    try:
        address, _ = box.add_account("honest", policy="delete")
        code, said = box.command("account", "device", "add", address, "PC", "--json")
        assert code == 0, said
        device = (address, json.loads(said)["password"])
        memory, hostile = Memory(box.process.pid), Hostile(box)
        bob, ann = signed_in(box, box.bob), signed_in(box, box.ann)

        def send(source):
            with smtplib.SMTP("127.0.0.1", box.ports["smtp"], "honest.test", timeout=30, source_address=(source, 0)) as smtp:
                smtp.sendmail("x@honest.test", [address], b"Subject: hello\r\n\r\nx\r\n")

        def fetch():
            session = box.pop3s(device)
            session.stat()
            session.quit()

        def look():
            status, _, page = bob.get("/mail/1")
            assert status == 200 and "mail" in page, status

        began = time.monotonic()
        honest = [Honest("another server", lambda: send("203.0.113.250")), Honest("a machine here", lambda: send("127.0.0.1")),
                  Honest("a mail program", fetch), Honest("a page", look)]
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            tasks = []
            go = lambda work, *words: tasks.append(pool.submit(attempt, work, *words))
            for body, subject in ((BOMB, "bomb"), (DEEP, "deep"), (LONG, "long")):
                for _ in range(4):
                    go(box.send, box.ann[0], html(body, subject))
            for n in range(60):
                go(hostile.silent, "203.0.113.1")
            for host in range(2, 22):
                for _ in range(30):
                    go(hostile.silent, f"203.0.113.{host}", b" SIZE=1", 20_000)
                for _ in range(6):
                    go(hostile.silent, f"203.0.113.{host}", b"", 380_000)
            for host in range(1, 41):
                for _ in range(50):
                    go(hostile.held, f"198.51.100.{host}")
            for number in range(430):
                go(hostile.guess, f"203.0.113.{100 + number % 100}", number)
            for _ in range(16):
                go(hostile.letter, bob, LONG)
                go(hostile.read, ann, "/mail/1")
            for uid in range(1, 14):
                go(hostile.read, ann, f"/mail/1/{uid}")
            for number in range(12):
                go(hostile.card, (bob, ann)[number % 2], CARD if number % 4 == 3 else CARDS)
                go(hostile.read, (bob, ann)[number % 2], "/mail/contacts?q=zzz")
            concurrent.futures.wait(tasks, timeout=120)
        while time.monotonic() < began + SECONDS:
            time.sleep(0.2)
        result = {"honest": {one.name: one.end() for one in honest}, "memory": memory.most["Pss"], "anonymous": memory.most["Pss_Anon"], "silence": round(watchdog.longest_silence(began), 1),
                  "heard": dict(hostile.heard), "lives": box.process.poll() is None, "seconds": round(time.monotonic() - began)}
        print(json.dumps(result))
        for connection in hostile.open:
            connection.close()
    finally:
        box.kill()
        box.log.close()


if __name__ == "__main__":
    main()
