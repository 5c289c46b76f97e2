"""The servers that are compared, each with its data on a volume of its own and its processes in a cgroup."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

DOMAIN = "example.test"
PASSWORD = "correct horse battery"
PASSWORD_WORD = "correct-horse-battery"
USERS = 50
CPUACCT = "/sys/fs/cgroup/cpuacct"


def memory_of(pids):
    """Proportional set size of processes, and the anonymous part of it, in MB."""
    total, anonymous = 0, 0
    for pid in pids:
        try:
            text = open(f"/proc/{pid}/smaps_rollup").read()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
        found = re.search(r"^Pss_Anon:\s+(\d+)", text, re.M)
        anonymous += int(found[1]) if found else 0
    return total / 1000, anonymous / 1000


class Server:
    # For searching.
    has_index = False

    def __init__(self, volume, folder):
        self.volume, self.folder = volume, os.path.join(folder, self.name + ".d")
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(folder, 0o755)
        self.cgroup = f"{CPUACCT}/pillarbox-bench-{self.name}"
        os.makedirs(self.cgroup, exist_ok=True)
        # A run that was broken off may have left some there.
        Server.end(self)

    def launch(self, *words):
        def enter():
            with open(self.cgroup + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
        return subprocess.Popen(words, preexec_fn=enter, stdout=subprocess.DEVNULL, stderr=open(self.folder + "/log", "ab"))

    def pids(self):
        return [int(p) for p in open(self.cgroup + "/cgroup.procs").read().split()]

    def cpu_seconds(self):
        return int(open(self.cgroup + "/cpuacct.usage").read()) / 1e9

    def memory(self):
        """As memory_of has it, of all processes."""
        return memory_of(self.pids())

    def end(self):
        """Ends what is left of the server, by process id."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.pids():
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            # On a slow volume it takes a while to write what waits in memory.
            deadline = time.monotonic() + 60
            while self.pids() and time.monotonic() < deadline:
                time.sleep(0.02)

    def wait_for_banner(self, port):
        begun = time.monotonic()
        while time.monotonic() < begun + 20:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    if connection.recv(100):
                        return time.monotonic() - begun
            except OSError:
                time.sleep(0.0005)
        raise RuntimeError(f"{self.name} gave no banner: " + open(self.folder + "/log", errors="replace").read()[-2000:])

    def restart_empty(self):
        self.end()
        for item in os.listdir(self.volume.path):
            if item != "lost+found":
                shutil.rmtree(os.path.join(self.volume.path, item))
        self.prepare()
        return self.start()

    def restart_on(self, name):
        """Starts on a state of the volume that was kept."""
        self.end()
        self.volume.put(name)
        return self.start()

    def indexed(self):
        """True when no index has anything to catch up with."""
        return True

    def index_all(self):
        """Makes the index at full speed, where there is one."""


class Pillarbox(Server):
    name = "pillarbox"
    has_index = True
    smtp, pop3, pop3s = 3025, 3110, 3995
    password = PASSWORD_WORD

    def program(self):
        return os.environ["PILLARBOX_BIN"]

    def prepare(self):
        self.config = self.folder + "/pillarbox.toml"
        listen = {"smtp": self.smtp, "submission": self.smtp + 562, "submissions": self.smtp + 440, "pop3": self.pop3, "pop3s": self.pop3s}
        with open(self.config, "w") as file:
            file.write(f'hostname = "mail.{DOMAIN}"\ndata = "{self.volume.path}/data"\n[listen]\n')
            file.writelines(f'{key} = ["127.0.0.1:{port}"]\n' for key, port in listen.items())
            file.write("http = []\nhttps = []\n")
            file.write('[trust]\nnetworks = ["127.0.0.0/8"]\n[limits]\nconnections_per_address = 2000\n[log]\nlevel = "warn"\n')
        program = self.program()
        subprocess.run([program, "--config", self.config, "domain", "add", DOMAIN], check=True, stdout=subprocess.DEVNULL)
        for n in range(USERS):
            subprocess.run([program, "--config", self.config, "account", "add", f"user{n}@{DOMAIN}", "--password-stdin",
                            "--policy", "delete"], input=self.password + "\n", text=True, check=True, stdout=subprocess.DEVNULL)

    def start(self):
        begun = time.monotonic()
        self.launch(self.program(), "--config", self.config, "serve")
        self.wait_for_banner(self.smtp)
        return time.monotonic() - begun

    def drained(self):
        return True

    def push(self):
        """Nothing waits anywhere."""

    def index_all(self):
        # Beside its other work the server takes a third of an hour for a hundred thousand messages.
        self.end()
        subprocess.run([self.program(), "--config", self.config, "check", "--rebuild-index"], check=True, capture_output=True)
        self.start()

    def indexed(self):
        """Complete, or no more left than waits for others in each of ten mailboxes (127 at most; other builds leave none)."""
        done = subprocess.run([self.program(), "--config", self.config, "check"], capture_output=True, text=True)
        waiting = re.search(r"^index .*?(\d+) messages wait", done.stdout, re.M)
        is_complete = re.search(r"^index +complete", done.stdout, re.M) is not None
        if waiting and int(waiting[1]) <= 1270 and waiting[1] == self.waited:
            return True
        self.waited = waiting and waiting[1]
        return is_complete

    waited = None

    def user(self, n):
        return f"user{n}@{DOMAIN}"


class Earlier(Pillarbox):
    """Another build of the same program, to see what a change costs."""

    name = "earlier"
    smtp, pop3, pop3s = 5025, 5110, 5995

    def program(self):
        return os.environ["PILLARBOX_EARLIER"]


class Postfix(Server):
    """Postfix takes the mail, Dovecot gives it out."""

    password = PASSWORD_WORD

    def user(self, n):
        return f"user{n}"

    def prepare(self):
        root, config = self.volume.path, self.folder
        owner = pwd.getpwnam("nobody")
        self.spool, mail = root + "/spool", root + "/mail"
        for path in (self.spool, root + "/postfix", mail):
            os.makedirs(path, exist_ok=True)
        shutil.chown(root + "/postfix", "postfix")
        shutil.chown(mail, owner.pw_uid, owner.pw_gid)
        certificate(config)
        with open(config + "/users", "w") as file:
            file.writelines(f"user{n}@{DOMAIN} user{n}/\n" for n in range(USERS))
        with open(config + "/main.cf", "w") as file:
            file.write(MAIN_CF.format(domain=DOMAIN, config=config, root=root, mail=mail, uid=owner.pw_uid,
                                      gid=owner.pw_gid, transport=self.transport.format(config=config)))
        with open(config + "/master.cf", "w") as file:
            file.write(MASTER_CF.format(port=self.smtp))
        with open(config + "/dovecot.conf", "w") as file:
            file.write(DOVECOT_CONF.format(config=config, mail=mail, uid=owner.pw_uid, gid=owner.pw_gid, pop3=self.pop3,
                                           pop3s=self.pop3s, password=self.password))

    def start(self):
        begun = time.monotonic()
        self.launch("postfix", "-c", self.folder, "start").wait()
        self.launch("dovecot", "-c", self.folder + "/dovecot.conf")
        self.wait_for_banner(self.smtp)
        took = time.monotonic() - begun
        self.wait_for_banner(self.pop3)
        return took

    def end(self):
        subprocess.run(["postfix", "-c", self.folder, "stop"], capture_output=True)
        super().end()

    def push(self):
        subprocess.run(["postqueue", "-c", self.folder, "-f"], capture_output=True)

    def drained(self):
        return not any(files for queue in ("maildrop", "incoming", "active", "deferred")
                       for _, _, files in os.walk(f"{self.spool}/{queue}"))


class PostfixLmtp(Postfix):
    name = "postfix-lmtp"
    smtp, pop3, pop3s = 4025, 4110, 4995
    transport = "lmtp:unix:{config}/lmtp"


class PostfixMaildir(Postfix):
    name = "postfix-maildir"
    smtp, pop3, pop3s = 5025, 5110, 5995
    transport = "virtual"


def certificate(folder):
    if not os.path.exists(folder + "/cert.pem"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                        "-subj", "/CN=localhost", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
                       check=True, capture_output=True)


MAIN_CF = """compatibility_level = 3.6
myhostname = mail.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {root}/spool
data_directory = {root}/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {config}/maillog
maillog_file_prefixes = {config}
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = texthash:{config}/users
virtual_mailbox_base = {mail}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
virtual_transport = {transport}
mailbox_size_limit = 0
message_size_limit = 60000000
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_tls_security_level = may
smtpd_tls_cert_file = {config}/cert.pem
smtpd_tls_key_file = {config}/key.pem
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
mynetworks = 127.0.0.0/8
"""

MASTER_CF = """127.0.0.1:{port} inet n - n - 600 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_CONF = """base_dir = {config}/run
state_dir = {config}/state
protocols = pop3 lmtp
log_path = {config}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{config}/cert.pem
ssl_key = <{config}/key.pem
disable_plaintext_auth = no
auth_username_format = %n
mail_location = maildir:{mail}/%n
mail_fsync = optimized
mail_max_userip_connections = 0
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%n allow_all_users=yes
}}
service pop3-login {{
  process_limit = 2000
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service lmtp {{
  process_min_avail = 4
  unix_listener {config}/lmtp {{
    mode = 0666
  }}
}}
"""
