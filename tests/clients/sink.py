"""A mail server that takes everything and keeps it, for tests that look at what came over the wire."""

import socketserver
import threading


class Sink(socketserver.ThreadingTCPServer):
    """Listens on a loopback address; `messages` holds each content as it came, dots unstuffed."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host, port, offers=("8BITMIME", "SMTPUTF8")):
        super().__init__((host, port), Session)
        self.offers = ("sink.test", "PIPELINING", "SIZE 60000000", *offers)
        self.messages = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.say("220 sink.test ESMTP")
        while line := self.rfile.readline():
            verb = line.strip().upper()
            if verb.startswith(b"EHLO"):
                last = len(self.server.offers) - 1
                for at, offer in enumerate(self.server.offers):
                    self.say(f"250{' ' if at == last else '-'}{offer}")
            elif verb == b"DATA":
                self.say("354 go on")
                self.server.messages.append(self.content())
                self.say("250 2.0.0 taken")
            elif verb == b"QUIT":
                return self.say("221 bye")
            else:
                self.say("250 2.0.0 ok")

    def content(self):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
