"""Another server that acknowledges everything and counts it, and people who submit mail for it."""

import collections
import smtplib
import socketserver
import threading

from box import PATIENCE

# Connections to one destination, and messages of each whose commit may be under way: between the other server's 250 and our
# commit a kill makes a message arrive twice.
WORKERS, UNSETTLED = 4, 9


class Sink(socketserver.ThreadingTCPServer):
    """`acknowledged` counts, by subject."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, host, port):
        super().__init__((host, port), Conversation)
        self.lock = threading.Lock()
        self.acknowledged = collections.Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


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


class Submitter(threading.Thread):
    """Submits until the server dies; `tried` has what was not acknowledged."""

    def __init__(self, box, prefix):
        super().__init__(daemon=True)
        self.box, self.prefix, self.accepted, self.tried = box, prefix, [], []
        self.start()

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
