"""A mail server for the tests that takes everything and keeps what it took, octet for octet."""

import socket
import threading


class Sink(threading.Thread):
    """`offers`: what it says to EHLO beside its name, such as 8BITMIME."""

    def __init__(self, host, port, offers=()):
        super().__init__(daemon=True)
        self.offers, self.messages = offers, []
        self.listener = socket.create_server((host, port))
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            say = lambda text: connection.sendall(text.encode() + b"\r\n")
            say("220 sink.test")
            for line in lines:
                verb = line[:4].upper()
                if verb == b"EHLO":
                    names = ["sink.test", *self.offers]
                    for name in names[:-1]:
                        say(f"250-{name}")
                    say(f"250 {names[-1]}")
                elif verb == b"DATA":
                    say("354 go on")
                    self.messages.append(take(lines))
                    say("250 taken")
                elif verb == b"QUIT":
                    return say("221 bye")
                else:
                    say("250 ok")


def take(lines):
    """Content up to the dot, without the dots that were put in front of others (RFC 5321 4.5.2)."""
    content = bytearray()
    for line in lines:
        if line == b".\r\n":
            return bytes(content)
        content += line[1:] if line.startswith(b".") else line
    raise ConnectionError("the message broke off")
