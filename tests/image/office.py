"""What people do with a box: its owner at a browser, colleagues with mail programs, other servers; and the test image's shell."""
import contextlib
import os
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

IMAGES = os.environ["PILLARBOX_IMAGES"]
FOLDER = tempfile.mkdtemp(prefix="pillarbox-image-")
SETUP = """
hostname = "mail.office.test"
domains = ["office.test"]
line = "direct"
certificate = "own"
finished = true
[[person]]
address = "ann@office.test"
name = "Ann"
password = "correct horse battery"
[[person]]
address = "bob@office.test"
name = "Bob"
password = "correct horse staple"
"""
ANN = ("ann@office.test", "correct horse battery")
BOB = ("bob@office.test", "correct horse staple")
figures = {}


def tell(name, value):
    figures[name] = value
    print(f"    {name}: {value}", flush=True)


def until(look, wanted, patience):
    """Looks every three seconds until `wanted` is in the text that is seen; that text. `patience` is in seconds."""
    end = time.monotonic() + patience
    while wanted not in (seen := look()):
        if time.monotonic() > end:
            raise AssertionError(f"{wanted!r} did not come within {patience} seconds; seen last:\n{seen}")
        time.sleep(3)
    return seen


def shell(box, command, patience=300, sends=b""):
    """Runs a command in the test image; what it said and how it ended."""
    # It comes a moment after mail, once a start; QEMU takes the connection before.
    end = time.monotonic() + 60
    while not box.has_shell and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", box.ports["shell"]), 30) as line:
            line.settimeout(30)
            line.sendall(b"echo here\nexit\n")
            box.has_shell = bool(line.recv(100))
        time.sleep(0.5)
    with socket.create_connection(("127.0.0.1", box.ports["shell"]), 30) as line:
        line.settimeout(patience)
        said = b""
        if sends:
            # The shell reads ahead: what the command shall read comes when it runs.
            line.sendall(f"echo __reads; {command}; echo __ended $?\n".encode())
            while b"__reads" not in said:
                said += line.recv(65536) or b"__reads"
            line.sendall(sends)
        else:
            line.sendall(f"({command}) 2>&1; echo __ended $?\nexit\n".encode())
        while not re.search(rb"__ended \d+\n", said):
            piece = line.recv(65536)
            if not piece:
                break
            said += piece
    text = said.decode("utf-8", "replace")
    ended = re.search(r"__ended (\d+)\n", text)
    return int(ended.group(1)) if ended else -1, re.sub(r"__ended \d+\n.*", "", text, flags=re.S)


def send(box, subject, to=BOB[0]):
    with smtplib.SMTP("127.0.0.1", box.ports["smtp"], timeout=60) as smtp:
        smtp.sendmail("cy@x.example", [to], f"From: cy@x.example\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{subject}\r\n")


def subjects(box):
    """What lies in Bob's mailbox, as a mail program fetches it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    pop = poplib.POP3_SSL("127.0.0.1", box.ports["pop3s"], timeout=120, context=context)
    pop.user(BOB[0])
    pop.pass_(BOB[1])
    count = pop.stat()[0]
    found = []
    for number in range(1, count + 1):
        head = pop.top(number, 0)[1]
        found += [line[9:].decode() for line in head if line.startswith(b"Subject: ")]
    pop.quit()
    return found


def page(box, path):
    ran = subprocess.run(["curl", "-s", "--max-time", "60", f"http://127.0.0.1:{box.ports['http']}{path}", "-H", "Host: pillarbox.local"],
                         capture_output=True, text=True, check=False)
    return ran.stdout


def rescue(box, what, secret):
    """Somebody at the rescue page."""
    ran = subprocess.run(["curl", "-s", "--max-time", "90", f"http://127.0.0.1:{box.ports['http']}/rescue", "-H", "Host: pillarbox.local",
                          "--data-urlencode", f"secret={secret}", "--data-urlencode", f"do={what}"], capture_output=True, text=True, check=False)
    return ran.stdout


class Owner:
    """Ann at her browser: signed in, at one of the box's names or addresses."""

    def __init__(self, port, name):
        self.port, self.name, self.jar = port, name, os.path.join(tempfile.mkdtemp(dir=FOLDER), "cookies")
        self.curl("/login", "-d", f"user={ANN[0]}", "--data-urlencode", f"password={ANN[1]}")

    def curl(self, path, *arguments, patience=60):
        ran = subprocess.run(["curl", "-s", "--max-time", str(patience), "-b", self.jar, "-c", self.jar, "-H", f"Host: {self.name}", "-H", f"Origin: http://{self.name}",
                              f"http://127.0.0.1:{self.port}{path}", *arguments], capture_output=True, text=True, check=False)
        return ran.stdout

    def token(self, path):
        return re.search(r'name="token" value="([^"]+)"', self.curl(path)).group(1)

    def order(self, path, **fields):
        """Sends a form. Where the page says that the box is busy, does what it advises: looks again later, and orders once more."""
        for left in (2, 1, 0):
            arguments = [word for name, value in {"token": self.token(path), **fields}.items() for word in ("--data-urlencode", f"{name}={value}")]
            page = self.curl(path, *arguments)
            if "The box is busy" not in page or not left:
                return page
            time.sleep(60)

    def upload(self, path, file, patience):
        return self.curl(path, "-F", f"token={self.token('/system')}", "-F", f"file=@{file}", patience=patience)


def live():
    """Runs a file's tests in their order; what comes after a failure would only be its echo."""
    try:
        program = unittest.main(verbosity=2, failfast=True, exit=False)
    finally:
        print("\nFigures (under emulation):")
        for name, value in figures.items():
            print(f"  {name}: {value}")
    if not program.result.wasSuccessful():
        print(f"The cards, and what the boxes said, lie in {FOLDER}")
        sys.exit(1)
    shutil.rmtree(FOLDER)
