"""Others in the office who speak multicast DNS, each run in a network namespace of its own, on its interface eth0. By IPv6 where
OWN-ADDRESS is one.

mdns.py repeat OWN-ADDRESS SECONDS FROM...  says again what these send, from its own address, so much later
mdns.py ask OWN-ADDRESS NAME                asks once for addresses of its family, prints the answers of three seconds
mdns.py claim OWN-ADDRESS NAME              answers for a name whenever it is asked for
mdns.py rubbish OWN-ADDRESS COUNT           sends packets that are none
"""
import heapq
import os
import select
import socket
import struct
import sys
import time

PORT = 5353
A, AAAA, ANY = 1, 28, 255


def family(own):
    return socket.AF_INET6 if ":" in own else socket.AF_INET


def group(own):
    return "ff02::fb" if ":" in own else "224.0.0.251"


def type_of(own):
    return AAAA if ":" in own else A


def opened(own):
    """A socket that hears the group and speaks to it."""
    sock = socket.socket(family(own), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family(own) == socket.AF_INET6:
        number = socket.if_nametoindex("eth0")
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", PORT))
        member = socket.inet_pton(socket.AF_INET6, group(own)) + struct.pack("@I", number)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, number)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        return sock
    sock.bind(("", PORT))
    member = socket.inet_aton(group(own)) + socket.inet_aton(own)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    return sock


def packed(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question(name, kind):
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + packed(name) + struct.pack("!2H", kind, 1)


def answer(name, address):
    record = packed(name) + struct.pack("!2HIH", A, 0x8001, 120, 4) + socket.inet_aton(address)
    return struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + record


def name_at(packet, at):
    """The name there in lower case, and where it ends."""
    labels, end = [], None
    for _ in range(64):
        length = packet[at]
        if length & 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | packet[at + 1]
        elif length == 0:
            return ".".join(labels).lower(), end or at + 1
        else:
            labels.append(packet[at + 1:at + 1 + length].decode("utf-8", "replace"))
            at += 1 + length
    raise ValueError("a name without an end")


def addresses(packet, wanted, own):
    """The addresses of this family for a name in a response's records."""
    flags, questions, *counts = struct.unpack_from("!2x5H", packet)
    at, found = 12, []
    if not flags & 0x8000:
        return found
    for _ in range(questions):
        at = name_at(packet, at)[1] + 4
    for _ in range(sum(counts)):
        name, at = name_at(packet, at)
        kind, _, ttl, length = struct.unpack_from("!2HIH", packet, at)
        at += 10
        if (name, kind) == (wanted, type_of(own)) and ttl:
            found.append(socket.inet_ntop(family(own), packet[at:at + length]))
        at += length
    return found


def asked(packet):
    """The names that a query asks for."""
    flags, questions = struct.unpack_from("!2x2H", packet)
    at, found = 12, []
    for _ in range(0 if flags & 0x8000 else questions):
        name, at = name_at(packet, at)
        found.append(name)
        at += 4
    return found


def repeat(own, seconds, *heard):
    sock, waiting = opened(own), []
    while True:
        patience = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([sock], [], [], patience)[0]:
            packet, (sender, *_) = sock.recvfrom(9000)
            if sender.split("%")[0] in heard:
                heapq.heappush(waiting, (time.monotonic() + float(seconds), packet))
        while waiting and waiting[0][0] <= time.monotonic():
            sock.sendto(heapq.heappop(waiting)[1], (group(own), PORT))


def ask(own, name):
    sock, found, end = opened(own), set(), time.monotonic() + 3
    sock.sendto(question(name, type_of(own)), (group(own), PORT))
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        found.update(addresses(sock.recv(9000), name, own))
    print(" ".join(sorted(found)))


def claim(own, name):
    sock = opened(own)
    while True:
        if name in asked(sock.recv(9000)):
            sock.sendto(answer(name, own), (group(own), PORT))


def rubbish(own, count):
    sock = opened(own)
    for number in range(int(count)):
        whole = [os.urandom(number % 1400), question("pillarbox.local", ANY)[:number % 40], answer("pillarbox.local", own)[:-1 - number % 30]]
        sock.sendto(whole[number % 3], (group(own), PORT))
        time.sleep(0.002)


if __name__ == "__main__":
    {"repeat": repeat, "ask": ask, "claim": claim, "rubbish": rubbish}[sys.argv[1]](*sys.argv[2:])
