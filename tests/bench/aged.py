"""The rows that a box in its third year would show: on a store that was used, with everything counted that is written until
the volume is quiet again, and while the index has much to do."""

import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from loads import FREE, QUICK, Peak, fewer, load
from servers import DOMAIN
from volumes import CARD

# Messages that a store had, of which half were collected and deleted, and the people they were for.
AGE, PEOPLE = fewer(100_000, part=50), 10
# Messages over eight sessions after which they connect again: servers take a limited number in each.
PART = 40_000
# Messages that the index has to catch up with.
BACKLOG = fewer(50_000, part=50)
# Seconds with hardly a write after which a volume counts as quiet: the file system may keep data for 35.
QUIET = 5 if QUICK else 40
# Of a row at one message a minute; with --hour the whole hour.
MINUTES = 60 if "--hour" in sys.argv else 2 if QUICK else 10
# A folder for aged stores, for other runs.
STORES = sys.argv[sys.argv.index("--stores") + 1] if "--stores" in sys.argv else ""
STEADY = fewer(600, part=20)
NONE = float("nan")


class Aged:
    """Rows of `Bench`."""

    def ages(self):
        """Every server on its aged store; made once in a run, and kept."""
        for server in self.servers:
            if not server.volume.has("aged", STORES):
                self.age(server)
            elif not server.pids():
                # Its settings are of this run.
                server.restart_empty()
            server.restart_on("aged")

    def age(self, server):
        print(f"{server.name}: {AGE:,} messages in, half of them out", file=sys.stderr)
        server.restart_empty()
        self.fill(server, AGE, seed=1)
        for n in range(PEOPLE):
            for order in ("retr", "dele"):
                load("pop3", address=f"127.0.0.1:{server.pop3}", user=server.user(n), password=server.password, repeat=1, every=2, **{order: "yes"})
        server.index_all()
        # What the server writes at its end, and what its next start tidies up, belongs to the past, too.
        for _ in range(2):
            self.settle(server)
            server.end()
            server.start()
        self.settle(server)
        server.end()
        server.volume.keep("aged", STORES)

    def fill(self, server, messages, seed):
        """English text at full speed; gives its octets."""
        server.volume.throttle(FREE)
        octets = 0
        for part, begin in enumerate(range(0, messages, PART)):
            sent = load("smtp", patience=7200, address=f"127.0.0.1:{server.smtp}", messages=min(PART, messages - begin), sessions=8,
                        domain=DOMAIN, users=PEOPLE, text="yes", seed=1000 * seed + part)
            if sent["failures"]:
                raise RuntimeError(f"{server.name}: {sent}")
            octets += sent["octets"]
            while not server.drained():
                time.sleep(0.1)
        return octets

    def settle(self, server):
        """Until the index is up to date and nothing is written any more."""
        while not server.indexed():
            if not server.pids():
                raise RuntimeError(f"{server.name} ended while its index was behind")
            time.sleep(1)
        server.volume.quiet(QUIET)

    def steadily(self, server, limits, messages, seconds):
        """Letters, one each so many seconds; and what was written until the volume is quiet, with what the server wrote at
        its end."""
        server.volume.throttle(limits)
        before = server.volume.counters()
        with Peak(server) as peak:
            sent = load("smtp", patience=900 + 2 * messages * seconds, address=f"127.0.0.1:{server.smtp}", messages=messages, domain=DOMAIN,
                        users=PEOPLE, text="yes", seed=7, interval_ms=int(seconds * 1000))
            if sent["failures"]:
                raise RuntimeError(f"{server.name}: {sent}")
            while not server.drained():
                time.sleep(0.01)
            server.volume.quiet(QUIET)
        # What waits in memory is written now; it belongs to these messages, too.
        server.end()
        octets = server.volume.counters()[1] - before[1]
        server.volume.throttle(FREE)
        server.start()
        return {**sent, "kb": octets / 1000 / messages, "times": octets / sent["octets"], "peak": peak}

    def letters(self, found, name, kb="", p99="", longest=""):
        """The rows of `steadily`."""
        self.row(f"written per 8.3 KB letter, {name}, everything counted", "KB", [f["kb"] for f in found], kb)
        self.row(f"the same, times its size, {name}", "", [f["times"] for f in found])
        for key, text, target in (("p50", "median", ""), ("p99", "p99", p99), ("longest", "longest", longest)):
            self.row(f"wait for 250, {text}, {name}", "ms", [f[f"wait_{key}_ms"] for f in found], target)
        self.peaks([f["peak"] for f in found], name)

    def all_steadily(self, messages, seconds):
        """The same for all servers at once: each has its own card, and the processors have little to do."""
        found = [None] * len(self.servers)

        def measure(at, server):
            found[at] = self.steadily(server, CARD, messages, seconds)
        threads = [threading.Thread(target=measure, args=pair) for pair in enumerate(self.servers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if None in found:
            raise RuntimeError(f"a server did not take a message each {seconds} seconds")
        return found

    def steady(self):
        """Two letters a second."""
        self.fresh()
        self.letters(self.all_steadily(STEADY, 0.5), "2 a second, fresh store")
        self.ages()
        self.letters(self.all_steadily(STEADY, 0.5), "2 a second, aged store", "<= 35", "<= 150", "<= 400")

    def slow(self):
        """One letter a minute."""
        self.ages()
        found = self.all_steadily(MINUTES, 60)
        self.letters(found, f"1 a minute ({MINUTES} of them), aged store", "<= 45")

    def catching(self):
        """While the index catches up: the same with an index that is up to date, before. The peers have none."""
        everybody, self.servers = self.servers, [server for server in self.servers if server.has_index]
        try:
            self.catching_up()
        finally:
            self.servers = everybody

    def catching_up(self):
        amounts = {1: (300, 60, 60), 8: (1200, 120, 120), 32: (4000, 160, 160)}
        rates = {}
        for kind in ("up to date", "catching up"):
            for sessions, amount in amounts.items():
                for server in self.servers:
                    self.backlog(server, is_indexed=kind == "up to date")
                found = self.cell(CARD, amount, 1, sessions=sessions)
                rates[kind, sessions] = [f["rate"] for f in found]
                self.row(f"delivered, 4 KB, {sessions} sessions, like a card, index {kind}", "/s", rates[kind, sessions])
                self.peaks([f["peak"] for f in found], f"4 KB, {sessions} sessions, index {kind}")
        for sessions in amounts:
            shares = [100 * now / before for now, before in zip(rates["catching up", sessions], rates["up to date", sessions])]
            self.row(f"rate while the index catches up, {sessions} sessions", "%", shares, ">= 80", 0)
        for server in self.servers:
            self.backlog(server, is_indexed=False)
        self.letters(self.all_steadily(min(STEADY, 240), 0.5), f"2 a second, index catches up on {BACKLOG:,}")

    def backlog(self, server, is_indexed):
        """The server on a store with many letters, which came so fast that the index is far behind, or has come after."""
        name = "indexed" if is_indexed else "backlog"
        if not server.volume.has("backlog"):
            server.restart_empty()
            self.fill(server, BACKLOG, seed=2)
            server.end()
            server.volume.keep("backlog")
        if not server.volume.has(name):
            server.restart_on("backlog")
            server.index_all()
            self.settle(server)
            server.end()
            server.volume.keep(name)
        server.restart_on(name)

    def aged(self):
        """Every headline row again."""
        targets = {1: (110, 12, 1.1), 8: (650, 8, 0.2), 32: (1200, 6, 0.06)}
        for sessions, amounts in ((1, (300, 60, 60)), (8, (1200, 120, 120)), (32, (4000, 160, 160))):
            self.ages()
            found = self.cell(CARD, amounts, 1, sessions=sessions)
            rate, kb, flushes = targets[sessions]
            name = f"4 KB, {sessions} sessions, like a card, aged store"
            self.row(f"delivered, {name}", "/s", [f["rate"] for f in found], f">= {rate:,}")
            self.row(f"written per message, {name}", "KB", [f["kb"] for f in found], f"<= {kb}")
            self.row(f"device flushes per message, {name}", "", [f["flushes"] for f in found], f"<= {flushes}", 3)
            self.peaks([f["peak"] for f in found], name)
        for text, amounts, limits, target, options in (
                ("4 KB to 10 recipients, 8 sessions, like a card, aged store", (900, 40, 40), CARD, ">= 500", {"recipients": 10}),
                ("64 KB, 8 sessions, like a card, aged store", (600, 100, 100), CARD, ">= 140", {"size": 65536}),
                ("4 KB, 1 sessions, RAM-backed, aged store", (6000, 1500, 1500), FREE, ">= 4 times", {"sessions": 1}),
                ("4 KB, 32 sessions, RAM-backed, aged store", (6000, 1500, 1500), FREE, ">= 15 times", {"sessions": 32}),
                ("64 KB, 8 sessions, RAM-backed, aged store", (2000, 500, 500), FREE, ">= 5 times", {"size": 65536}),
                ("1 MB, 8 sessions, RAM-backed, aged store", (200, 60, 60), FREE, ">= 4 times", {"size": 1 << 20})):
            self.ages()
            found = self.cell(limits, amounts, 1, **{"sessions": 8, **options})
            self.row(f"delivered, {text}", "/s", [f["rate"] for f in found], target)
            self.peaks([f["peak"] for f in found], text)
        self.ages()
        self.row("memory with 1,000 idle connections, aged store", "MB", [self.held(server) for server in self.servers], "<= 24")
        self.aged_mailbox()

    def aged_mailbox(self):
        """Collecting from the aged store."""
        self.ages()
        found = [self.fetch(server, repeat=5) for server in self.servers]
        count = found[0]["messages"]
        self.row(f"POP3 STAT, {count:,} messages, aged store", "ms", [f["stat_ms"] for f in found], "", 3)
        self.row(f"POP3 STAT + UIDL + LIST, {count:,} messages, aged store", "ms", [f["stat_uidl_list_ms"] for f in found])
        for tls in ("no", "yes"):
            rates = [self.fetch(server, repeat=1, retr="yes", tls=tls)["retr_rate"] for server in self.servers]
            self.row("POP3 pipelined RETR, letters, aged store, " + ("TLS" if tls == "yes" else "plain"), "/s", rates, "", 0)
        seconds = [self.fetch(server, repeat=1, dele="yes")["dele_seconds"] for server in self.servers]
        self.row(f"delete {count:,} messages by POP3, aged store", "s", seconds, "", 3)

    def disk(self):
        """How much of the disk a letter takes, with all that belongs to it."""
        # Not too few: what is there ahead of need, such as segments, counts fully.
        shares = []
        for server in self.servers:
            server.restart_empty()
            before = server.volume.used()
            octets = self.fill(server, fewer(20_000, part=4), seed=3)
            self.settle(server)
            server.end()
            shares.append((server.volume.used() - before) / octets)
            server.start()
        self.row("octets on disk per octet of letters, index included", "", shares, "<= 1.25", 2)

    def idle(self):
        """A minute after `demo` started, pages on."""
        totals, anonymous = [], []
        for server in self.servers:
            memory = self.demo(server.program()) if hasattr(server, "program") else (NONE, NONE)
            totals.append(memory[0])
            anonymous.append(memory[1])
        self.row("memory a minute after demo started (PSS)", "MB", totals, "<= 12")
        self.row("the same, anonymous part", "MB", anonymous, "<= 2.5")

    def demo(self, program):
        folder = tempfile.mkdtemp(prefix="pillarbox-bench-demo-")
        process = subprocess.Popen([program, "demo", "--json", "--directory", folder + "/demo"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            if not select.select([process.stdout], [], [], 60)[0] or not json.loads(process.stdout.readline()):
                raise RuntimeError("demo did not start")
            time.sleep(10 if QUICK else 60)
            fields = {line.split(":")[0]: int(line.split()[1]) for line in open(f"/proc/{process.pid}/smaps_rollup") if line.startswith("Pss")}
            return fields["Pss"] / 1000, fields["Pss_Anon"] / 1000
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()
            shutil.rmtree(folder, ignore_errors=True)
