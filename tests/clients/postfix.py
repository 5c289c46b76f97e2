"""A Postfix of its own folder: another server on the internet, and a provider that wants a login."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time

PATIENCE = 20
USER, PASSWORD = "office", "provider-secret"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Postfix:
    """Takes mail for remote.test at `host:port`; with a login it relays at `host:submission`."""

    def __init__(self, host, port, box_port=None, box_domain="example.test"):
        self.host, self.port, self.submission = host, port, free_port(host)
        self.folder = tempfile.mkdtemp(prefix="pillarbox-postfix-")
        os.chmod(self.folder, 0o755)
        self.mail = self.folder + "/mail"
        nobody = pwd.getpwnam("nobody")
        for name in ("spool", "data", "mail"):
            os.makedirs(f"{self.folder}/{name}")
        shutil.chown(self.folder + "/data", "postfix")
        shutil.chown(self.mail, nobody.pw_uid, nobody.pw_gid)
        self.make_certificates()
        self.write("users", "bob@remote.test bob/\ncy@remote.test cy/\n@other.test other/\n")
        self.write("transport", "late@remote.test fail:\n" + (f"{box_domain} smtp:[127.0.0.1]:{box_port}\n" if box_port else ""))
        self.write("main.cf", MAIN_CF.format(folder=self.folder, host=host, uid=nobody.pw_uid, gid=nobody.pw_gid))
        self.write("master.cf", MASTER_CF.format(host=host, port=port, submission=self.submission))
        self.write("dovecot.conf", DOVECOT_CONF.format(folder=self.folder, user=USER, password=PASSWORD))
        run("postfix", "-c", self.folder, "start")
        self.dovecot = subprocess.Popen(["dovecot", "-F", "-c", self.folder + "/dovecot.conf"], stderr=subprocess.DEVNULL)
        for wanted in (port, self.submission):
            self.wait_for(wanted)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def make_certificates(self):
        """An authority, and a certificate of it for the names of this server."""
        base = self.folder
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", "/CN=Test Authority", "-addext", "basicConstraints=critical,CA:TRUE",
            "-keyout", base + "/ca.key", "-out", base + "/ca.pem")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=relay.test",
            "-keyout", base + "/key.pem", "-out", base + "/request.pem")
        self.write("names", "subjectAltName=DNS:relay.test,DNS:mx.remote.test\n")
        run("openssl", "x509", "-req", "-days", "30", "-in", base + "/request.pem", "-CA", base + "/ca.pem", "-CAkey", base + "/ca.key",
            "-CAcreateserial", "-extfile", base + "/names", "-out", base + "/cert.pem")

    def wait_for(self, port):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                with socket.create_connection((self.host, port), timeout=5) as connection:
                    if connection.recv(100):
                        return
            except OSError:
                threading.Event().wait(0.02)
        raise RuntimeError("postfix does not answer: " + self.log())

    def log(self):
        path = pathlib.Path(self.folder, "maillog")
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def mails(self, user, count=1):
        """The messages of a mailbox, as soon as there are so many."""
        end = time.monotonic() + PATIENCE
        folder = f"{self.mail}/{user}/new"
        while True:
            names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
            if len(names) >= count:
                return [pathlib.Path(folder, name).read_bytes() for name in names]
            if time.monotonic() > end:
                raise AssertionError(f"{len(names)} of {count} messages for {user}: " + self.log())
            threading.Event().wait(0.05)

    def stop(self):
        self.dovecot.terminate()
        self.dovecot.wait(PATIENCE)
        run("postfix", "-c", self.folder, "stop")
        shutil.rmtree(self.folder)


MAIN_CF = """compatibility_level = 3.6
myhostname = mx.remote.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
alias_maps =
alias_database =
local_recipient_maps =
transport_maps = texthash:{folder}/transport
virtual_mailbox_domains = remote.test, other.test
virtual_mailbox_maps = texthash:{folder}/users, inline:{{ late@remote.test=late/ }}
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_recipient_restrictions = permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination
mynetworks = 127.0.0.9/32
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
smtputf8_enable = yes
"""

MASTER_CF = """{host}:{port} inet n - n - - smtpd
{host}:{submission} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_auth_only=yes
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
fail unix - n n - - pipe flags= user=nobody argv=/bin/false
"""

DOVECOT_CONF = """base_dir = {folder}/run
state_dir = {folder}/state
protocols =
log_path = {folder}/dovecot.log
ssl = no
passdb {{
  driver = static
  args = user={user} password={password}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
"""
