"""The box in QEMU: a 64-bit Raspberry Pi's processor and 512 MB, under emulation, on a cable of its own."""
import contextlib
import json
import os
import re
import socket
import subprocess
import threading
import time

# Where the box goes when its owner gives it another address.
MOVED = "10.0.2.77"
# The shell is in the test image only.
PORTS = {"smtp": 25, "submission": 587, "pop3s": 995, "http": 80, "https": 443, "shell": 2323}
DISK_MB = 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Box:
    """One card and the machine it is in. The card's file is a copy: what a test does to it stays with it."""

    def __init__(self, images, folder, boot_files=(), kind="test", machine="virt"):
        self.images, self.folder, self.board = images, folder, machine
        os.makedirs(folder, exist_ok=True)
        self.card = os.path.join(folder, "card.img")
        self.log = os.path.join(folder, "console.log")
        self.cable = os.path.join(folder, "cable")
        image = next(name for name in sorted(os.listdir(images)) if name.endswith(f"-{kind}.img"))
        subprocess.run(["cp", "--sparse=always", os.path.join(images, image), self.card], check=True)
        # A card is larger than the image that is flashed onto it.
        os.truncate(self.card, DISK_MB << 20)
        for name, text in boot_files:
            self.put_on_boot(name, text)
        self.machine, self.has_shell = None, False
        self.ports = {name: free_port() for name in PORTS}
        self.serial, self.moved = free_port(), free_port()
        self.control = os.path.join(folder, "control")
        self.read_to = 0

    def put_on_boot(self, name, text):
        """Writes a file onto the boot partition, as somebody does with the card in a PC."""
        start, _ = self.partition("boot")
        source = os.path.join(self.folder, name)
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        subprocess.run(["mcopy", "-o", "-i", f"{self.card}@@{start}", source, f"::{name}"], check=True)

    def boot_files(self):
        start, _ = self.partition("boot")
        listed = subprocess.run(["mdir", "-b", "-i", f"{self.card}@@{start}", "::"], capture_output=True, text=True, check=True)
        return [line.strip().removeprefix("::/") for line in listed.stdout.splitlines() if line.strip()]

    def boot_text(self, name):
        start, _ = self.partition("boot")
        return subprocess.run(["mtype", "-i", f"{self.card}@@{start}", f"::{name}"], capture_output=True, text=True, check=True).stdout.strip()

    def partition(self, name):
        """Where a partition begins and how long it is, in octets."""
        listed = subprocess.run(["sfdisk", "--json", self.card], capture_output=True, text=True, check=True)
        for part in json.loads(listed.stdout)["partitiontable"]["partitions"]:
            if part.get("name") == name:
                return part["start"] * 512, part["size"] * 512
        raise LookupError(name)

    def old_partitions(self):
        """Kind and begin (in octets) of what stands in the card's first sector, where firmware of older boards looks."""
        with open(self.card, "rb") as card:
            sector = card.read(512)
        entries = [sector[446 + 16 * number:462 + 16 * number] for number in range(4)]
        return [(entry[4], int.from_bytes(entry[8:12], "little") * 512) for entry in entries if entry[4]]

    def start(self, with_peer=False):
        """Power on. A peer has a cable of its own: on the first one, QEMU itself answers for everybody."""
        for old in (self.log, self.cable, self.control):
            if os.path.exists(old):
                os.unlink(old)
        if self.machine:
            self.complaints.close()
        self.read_to, self.has_shell = 0, False
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{self.ports[name]}-:{port}" for name, port in PORTS.items())
        forwards += f",hostfwd=tcp:127.0.0.1:{self.moved}-{MOVED}:80"
        # "unsafe" is so when this machine loses its power; of a QEMU that is killed, all it took is in the file.
        if self.board == "raspi3b":
            board = ["-M", "raspi3b", "-kernel", os.path.join(self.images, "u-boot-rpi.bin"), "-dtb", os.path.join(self.images, "raspberry-pi-3.dtb"),
                     "-drive", f"if=sd,format=raw,cache=unsafe,file={self.card}",
                     # Its first serial line is the radio's.
                     "-serial", "null"]
        else:
            board = ["-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512", "-nodefaults", "-bios", os.path.join(self.images, "u-boot.bin"),
                     "-drive", f"if=none,id=d0,format=raw,cache=unsafe,file={self.card}", "-device", "virtio-blk-pci,drive=d0,romfile=",
                     "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci", "-device", "i6300esb", "-device", "virtio-keyboard-pci"]
        if with_peer:
            board += ["-netdev", f"stream,id=peer,server=on,addr.type=unix,addr.path={self.cable}", "-device", "virtio-net-pci,netdev=peer,romfile="]
        self.began = time.monotonic()
        self.complaints = open(os.path.join(self.folder, "qemu.log"), "wb")  # for as long as QEMU runs
        self.machine = subprocess.Popen(
            ["qemu-system-aarch64", *board, "-display", "none", "-accel", "tcg,thread=multi", "-netdev", f"user,id=n0,restrict=on,{forwards}",
             "-chardev", f"socket,id=c0,host=127.0.0.1,port={self.serial},server=on,wait=off,logfile={self.log}", "-serial", "chardev:c0",
             "-watchdog-action", "reset", "-qmp", f"unix:{self.control},server=on,wait=off"],
            stdout=subprocess.DEVNULL, stderr=self.complaints)

    @contextlib.contextmanager
    def qemu(self):
        """QEMU's own control line: what it yields gives one order and waits until it is carried out."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30)
            # QEMU makes it a moment after it was started.
            end = time.monotonic() + 30
            while control.connect_ex(self.control) and time.monotonic() < end:
                time.sleep(0.1)
            answers = control.makefile("r", encoding="utf-8")

            def order(what, **arguments):
                control.sendall(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")
                for line in answers:
                    answer = json.loads(line)
                    # Besides, it greets and tells of events.
                    if "error" in answer:
                        raise RuntimeError(answer["error"]["desc"])
                    if "return" in answer:
                        return
                raise RuntimeError("QEMU ended")

            order("qmp_capabilities")
            yield order

    def plug_in_the_network(self):
        """For the Raspberry Pi, when its kernel runs: QEMU's USB controller tells of a device at the moment it is plugged in and
        never again, and of one that is there earlier U-Boot hears and Linux does not. At the port itself: QEMU would put a hub between,
        which Linux loses now and then on a busy machine, and what is behind it with it."""
        with self.qemu() as order:
            order("device_add", driver="usb-net", netdev="n0", id="network", port="1")

    @contextlib.contextmanager
    def button(self):
        """Holds the reset button for as long as the block runs."""
        let_go = threading.Event()

        def hold():
            with self.qemu() as order:
                def press(is_down):
                    order("input-send-event", events=[{"type": "key", "data": {"down": is_down, "key": {"type": "qcode", "data": "undo"}}}])

                # Before its driver runs a keyboard tells nobody: so it says again and again that it is held.
                while not let_go.wait(0.2):
                    press(True)
                press(False)

        holding = threading.Thread(target=hold)
        holding.start()
        try:
            yield
        finally:
            let_go.set()
            holding.join()

    def tell_shell(self, command):
        """Says something to the test image's shell that will not answer."""
        with socket.create_connection(("127.0.0.1", self.ports["shell"]), 30) as line:
            line.sendall(f"{command}\n".encode())
            time.sleep(3)

    def console(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def says(self, pattern, patience=240):
        """Waits until the console shows a pattern, after what was waited for last."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = re.search(pattern, self.console()[self.read_to:])
            if found:
                self.read_to += found.end()
                return found
            if self.machine.poll() is not None:
                raise RuntimeError("QEMU ended: " + open(os.path.join(self.folder, "qemu.log")).read()[-2000:])
            time.sleep(0.3)
        raise TimeoutError(f"{pattern!r} did not come; the console ends with:\n{self.console()[-3000:]}")

    def banner(self, patience=400):
        """Waits for port 25; seconds since power-on."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.ports["smtp"]), 10) as smtp:
                    # QEMU takes the connection and asks the box for it after 6, 12, 24 seconds: a fresh one is answered at once.
                    smtp.settimeout(max(2, (time.monotonic() - self.began) / 20))
                    if smtp.recv(200).startswith(b"220 "):
                        return time.monotonic() - self.began
            except OSError:
                pass
            time.sleep(0.5)
        raise TimeoutError(f"no banner; the console ends with:\n{self.console()[-3000:]}")

    def pull_the_plug(self):
        self.machine.kill()
        self.machine.wait()

    def stop(self):
        if self.machine:
            self.pull_the_plug()
            self.complaints.close()

    def copy_data(self):
        """A copy of the data partition; while the box runs it is of no use."""
        start, size = self.partition("data")
        part = os.path.join(self.folder, "data.img")
        with open(self.card, "rb") as card, open(part, "wb") as out:
            card.seek(start)
            left = size
            while left:
                piece = card.read(min(left, 4 << 20))
                if not piece:
                    break
                out.write(piece)
                left -= len(piece)
        subprocess.run(["e2fsck", "-p", part], capture_output=True)
        return part

    def data_folder(self, folder):
        """The names in a folder of the data partition."""
        part = self.copy_data()
        listed = subprocess.run(["debugfs", "-R", f"ls -p {folder}", part], capture_output=True, text=True, check=True)
        os.unlink(part)
        return [line.split("/")[5] for line in listed.stdout.splitlines() if line.count("/") > 5]

    def data_is_clean(self):
        """Checks the data partition's file system: its journal was replayed, then nothing may be wrong."""
        part = self.copy_data()
        checked = subprocess.run(["e2fsck", "-fn", part], capture_output=True, text=True)
        os.unlink(part)
        return checked.returncode == 0, checked.stdout

