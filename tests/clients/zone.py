"""A name server for the tests: a few records, on loopback."""

import socket
import struct
import threading

TYPES = {"A": 1, "MX": 15, "TXT": 16}


class Zone(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.records = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.start()

    def add(self, name, kind, value):
        self.records.setdefault((name.lower().rstrip("."), TYPES[kind]), []).append(encode(kind, value))

    def txt(self, name, timeout=5):
        """What dkimpy asks."""
        name = name.decode() if isinstance(name, bytes) else name
        found = self.records.get((name.lower().rstrip("."), TYPES["TXT"]))
        return None if not found else unpack(found[0])

    def run(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            try:
                self.socket.sendto(self.answer(question), peer)
            except (IndexError, struct.error):
                pass

    def answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += question[at] + 1
        kind = struct.unpack("!H", question[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        found = self.records.get((name, kind), [])
        known = any(owner == name or owner.endswith("." + name) for owner, _ in self.records)
        code = 0 if known else 3
        head = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(found), 0, 0)
        rows = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in found)
        return head + question[12:at + 5] + rows


def encode(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "MX":
        preference, host = value.split()
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.rstrip(".").split("."))
        return struct.pack("!H", int(preference)) + labels + b"\0"
    pieces = [value[n:n + 250] for n in range(0, len(value), 250)]
    return b"".join(bytes([len(piece)]) + piece.encode() for piece in pieces)


def unpack(data):
    out, at = b"", 0
    while at < len(data):
        out += data[at + 1:at + 1 + data[at]]
        at += data[at] + 1
    return out
