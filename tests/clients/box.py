"""A running Pillarbox for a test, and what tests do with it again and again."""

import json
import os
import poplib
import select
import shutil
import signal
import smtplib
import ssl
import subprocess
import tempfile
import textwrap
import threading
import time
import unittest

BIN = os.environ["PILLARBOX_BIN"]
PATIENCE = 30
# Python's own limit of 2,048 octets a line is stricter than the mail it meets.
poplib._MAXLINE = 1 << 24


class Box:
    """`pillarbox demo` in a folder of its own."""

    def __init__(self, settings=None, smtp=0, folder=None, log=None, prefix=()):
        """With settings (TOML sections), and a port for SMTP if one is wanted; in this folder, and its log in that one; `prefix`: words
        before the program's own, such as those that put it into a group."""
        self.folder = tempfile.mkdtemp(prefix="pillarbox-test-", dir=folder)
        if settings:
            os.makedirs(os.path.join(self.folder, "demo"))
            services = ("submission", "submissions", "pop3", "pop3s", "http", "https")
            with open(os.path.join(self.folder, "demo", "pillarbox.toml"), "w") as file:
                file.write(f'hostname = "mail.example.test"\ndata = "{self.folder}/demo/data"\n')
                file.write(f'[listen]\nsmtp = ["127.0.0.1:{smtp}"]\n')
                file.writelines(f'{name} = ["127.0.0.1:0"]\n' for name in services)
                file.write("[limits]\nconnections_per_address = 2000\n" + textwrap.dedent(settings))
        self.log = open(os.path.join(log or self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [*prefix, BIN, "demo", "--json", "--directory", os.path.join(self.folder, "demo")],
            stdout=subprocess.PIPE, stderr=self.log)
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            raise RuntimeError("the server did not start: " + self.said())
        self.facts = json.loads(line)
        self.ports = self.facts["ports"]
        self.name = self.facts["tls_name"]
        self.ca = self.facts["ca"]
        self.ann, self.bob = [(a["address"], a["password"]) for a in self.facts["accounts"]]

    def said(self):
        """What the server wrote to its log."""
        with open(self.log.name) as log:
            return log.read()

    def tls(self):
        return ssl.create_default_context(cafile=self.ca)

    def serve(self):
        """Starts the server again on the same data and ports, after it was killed."""
        self.process = subprocess.Popen(
            [BIN, "--config", self.facts["config"], "serve"], stdout=subprocess.DEVNULL, stderr=self.log)

    def wait(self):
        """Waits until the server greets again."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                return self.smtp().quit()
            except OSError:
                threading.Event().wait(0.01)
        raise RuntimeError("the server did not come back: " + self.said())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self):
        """Ends the server as systemd does; it must end by itself and well."""
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self.log.close()
        if self.process.stdout:
            self.process.stdout.close()
        said = self.said()
        shutil.rmtree(self.folder)
        if code != 0 or "panicked" in said:
            raise AssertionError(f"the server ended with {code}: {said[-2000:]}")

    def command(self, *words, text=None):
        """The owner's command line, while the server runs."""
        done = subprocess.run([BIN, "--config", self.facts["config"], *words],
                              input=text, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    def add_account(self, local, policy="delete"):
        address = f"{local}@{self.facts['domain']}"
        code, said = self.command("account", "add", address, "--policy", policy, "--password-stdin",
                                  text="correct horse battery\n")
        assert code == 0, said
        return address, "correct horse battery"

    def smtp(self):
        return smtplib.SMTP(self.facts["host"], self.ports["smtp"], "client.example", timeout=PATIENCE)

    def pop3s(self, login):
        session = poplib.POP3_SSL(self.name, self.ports["pop3s"], context=self.tls(), timeout=PATIENCE)
        session.user(login[0])
        session.pass_(login[1])
        return session

    def send(self, to, content, sender="someone@example.net", **options):
        with self.smtp() as smtp:
            smtp.sendmail(sender, to, content, **options)

    def mails(self, login):
        """Every message of a mailbox, as octets, without the fields that delivery put in front."""
        session = self.pop3s(login)
        count = session.stat()[0]
        found = [strip_trace(raw(session, n + 1)) for n in range(count)]
        session.quit()
        return found

    def empty(self, login):
        session = self.pop3s(login)
        for n in range(session.stat()[0]):
            session.dele(n + 1)
        session.quit()


def raw(session, number):
    """A message as it came over the wire, dots unstuffed; poplib would lose the last line end."""
    _, lines, _ = session.retr(number)
    return b"".join(line + b"\r\n" for line in lines)


def strip_trace(content):
    """Takes Return-Path and the first Received field off."""
    assert content.startswith(b"Return-Path: <"), content[:80]
    rest = content.split(b"\r\n", 1)[1]
    assert rest.startswith(b"Received: "), rest[:80]
    lines = rest.split(b"\r\n")
    first = 1
    while lines[first][:1] in (b"\t", b" "):
        first += 1
    return b"\r\n".join(lines[first:])


class BoxTest(unittest.TestCase):
    """Tests that share one running server."""

    @classmethod
    def setUpClass(cls):
        cls.box = Box()

    @classmethod
    def tearDownClass(cls):
        cls.box.stop()

    def run_program(self, *words, text=None, env=None):
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60,
                              env={**os.environ, **(env or {})})
        return done.returncode, done.stdout + done.stderr
