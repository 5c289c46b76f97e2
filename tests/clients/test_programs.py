"""Every program that fetches, by STLS and with TLS from the start: the same octets, and words for a wrong password."""

import os
import poplib
import smtplib
import socket
import ssl
import tempfile
import uuid

from box import PATIENCE, BoxTest, raw, strip_trace

IMPLICIT, STLS = "pop3s", "pop3"
# Programs with an MDA write LF line ends and add fields in front: what they must not touch is the body.
BODY = (b".\r\n..\r\n.leading dot\r\nFrom the start of a line\r\n\r\n" + "Grüße, 8 bit\r\n".encode()
        + b"x" * 998 + b"\r\ntrailing blanks  \t\r\n" + b"a dot before the end\r\n.\r\n\r\n")


class Programs(BoxTest):
    def fresh(self):
        """A mailbox with one message that is hard to carry."""
        login = self.box.add_account("p" + uuid.uuid4().hex[:8])
        self.box.send(login[0], b"From: a@example.net\r\nSubject: matrix\r\n\r\n" + BODY, mail_options=["BODY=8BITMIME"])
        return login

    def port(self, service):
        return self.box.ports[service]

    def curl(self, login, service, folder):
        url = f"{service}://{self.box.name}:{self.port(service)}/1"
        return ["curl", "-sS", "-v", "--ssl-reqd", "--cacert", self.box.ca, "--user", ":".join(login),
                "-o", f"{folder}/inbox", url], ""

    def fetchmail(self, login, service, folder):
        tls = "ssl" if service == IMPLICIT else 'sslproto "tls1.2+"'
        return ["fetchmail", "-f", f"{folder}/rc", "--pidfile", f"{folder}/pid", "-i", f"{folder}/ids", "--nosyslog", "-k"], (
            f'poll {self.box.name} proto pop3 port {self.port(service)} user "{login[0]}" password "{login[1]}" '
            f'{tls} sslcertck sslcertfile "{self.box.ca}" mda "cat >> {folder}/inbox" fetchall\n')

    def mpop(self, login, service, folder):
        starttls = "off" if service == IMPLICIT else "on"
        return ["mpop", "-C", f"{folder}/rc", "a"], (
            f"account a\nhost {self.box.name}\nport {self.port(service)}\nuser {login[0]}\npassword {login[1]}\n"
            f"tls on\ntls_starttls {starttls}\ntls_trust_file {self.box.ca}\n"
            f"delivery mda cat >> {folder}/inbox\nuidls_file {folder}/uidls\nkeep on\n")

    def getmail(self, login, service, folder):
        kind = "SimplePOP3SSLRetriever" if service == IMPLICIT else "SimplePOP3Retriever"
        return ["getmail", "--getmaildir", folder, "--rcfile", f"{folder}/rc"], (
            f"[retriever]\ntype = {kind}\nserver = {self.box.name}\nport = {self.port(service)}\n"
            f"username = {login[0]}\npassword = {login[1]}\nca_certs = {self.box.ca}\n"
            f"[destination]\ntype = MDA_external\npath = /bin/sh\narguments = ('-c', 'cat >> {folder}/inbox')\n"
            f"allow_root_commands = true\nunixfrom = false\n[options]\nread_all = true\n")

    def fetch(self, program, login, service, *options):
        """Runs a program in a folder of its own; its exit code, what it said and what it stored."""
        with tempfile.TemporaryDirectory() as folder:
            words, config = getattr(self, program)(login, service, folder)
            with open(os.path.join(folder, "rc"), "w") as file:
                file.write(config)
            os.chmod(file.name, 0o600)
            open(os.path.join(folder, "inbox"), "w").close()
            code, said = self.run_program(*words, *options, env={"HOME": folder, "FETCHMAILHOME": folder})
            with open(os.path.join(folder, "inbox"), "rb") as file:
                return code, said, file.read()

    def test_each_program_gets_the_same_octets_on_either_port(self):
        login = self.fresh()
        for program in ("curl", "fetchmail", "mpop", "getmail"):
            for service in (STLS, IMPLICIT):
                if (program, service) == ("getmail", STLS):
                    continue  # getmail knows no STLS; without it there is no login (see below).
                with self.subTest(program=program, service=service):
                    code, said, stored = self.fetch(program, login, service)
                    self.assertEqual(code, 0, said)
                    head, _, body = stored.replace(b"\r\n", b"\n").partition(b"\n\n")
                    self.assertIn(b"Subject: matrix", head)
                    self.assertEqual(body, BODY.replace(b"\r\n", b"\n"))

    def test_each_program_shows_what_is_wrong_with_the_login(self):
        address = self.box.add_account("w" + uuid.uuid4().hex[:8])[0]
        # fetchmail and mpop keep the server's words to themselves unless asked for them.
        for program, *options in (["curl"], ["fetchmail", "-v"], ["mpop", "--debug"], ["getmail"]):
            for user, wanted in ((address, "[AUTH]"), (address.split("@")[0], "full e-mail address")):
                with self.subTest(program=program, user=user):
                    code, said, stored = self.fetch(program, (user, "wrong"), IMPLICIT, *options)
                    self.assertNotEqual(code, 0, said)
                    self.assertIn(wanted, said)
                    self.assertEqual(stored, b"")

    def test_a_certificate_that_is_not_trusted_ends_the_attempt(self):
        login = self.fresh()
        code, said = self.run_program("curl", "-sS", "--user", ":".join(login),
                                      f"pop3s://{self.box.name}:{self.port(IMPLICIT)}/1")
        self.assertEqual(code, 60, said)

    def test_a_program_that_comes_back_resumes_its_tls_session(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.box.tls()
            context.minimum_version = context.maximum_version = version
            for service in ("pop3s", "submissions", "https"):
                sessions, resumed = [None], []
                # More programs than any table of sessions holds would push the first out: so many come in between.
                for number in range(300):
                    kept = sessions[0] if number in (1, 299) else None
                    with socket.create_connection((self.box.facts["host"], self.box.ports[service]), PATIENCE) as plain:
                        with context.wrap_socket(plain, server_hostname=self.box.name, session=kept) as connection:
                            if service == "https":
                                connection.sendall(b"GET /health HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n")
                            # With TLS 1.3 the session comes behind the handshake.
                            connection.recv(100)
                            if number == 0:
                                sessions[0] = connection.session
                            if kept:
                                resumed.append(connection.session_reused)
                self.assertEqual(resumed, [True, True], (service, version))

    def test_python_submits_with_login_and_fetches_by_stls(self):
        login, content = self.fresh(), b"Subject: submitted\r\n\r\n" + BODY
        for tls_first in (False, True):
            self.box.empty(login)
            with self.submission(tls_first) as smtp:
                smtp.login(*login)
                smtp.sendmail(login[0], [login[0]], content, mail_options=["BODY=8BITMIME"])
            session = poplib.POP3(self.box.name, self.port(STLS), timeout=PATIENCE)
            session.stls(context=self.box.tls())
            session.user(login[0])
            session.pass_(login[1])
            received = strip_trace(raw(session, 1))
            # A submission may get the fields that are missing in it, and no other change.
            self.assertTrue(received.endswith(content.partition(b"\r\n\r\n")[2]))
            session.quit()

    def submission(self, tls_first):
        if tls_first:
            return smtplib.SMTP_SSL(self.box.name, self.port("submissions"), context=self.box.tls(), timeout=PATIENCE)
        smtp = smtplib.SMTP(self.box.name, self.port("submission"), timeout=PATIENCE)
        smtp.starttls(context=self.box.tls())
        return smtp

    def say(self, text, cut=None):
        """A whole POP3 conversation in one write (RFC 2449 §6.6); `cut`: hang up after so many octets."""
        with socket.create_connection(("127.0.0.1", self.port(IMPLICIT)), timeout=PATIENCE) as plain:
            with self.box.tls().wrap_socket(plain, server_hostname=self.box.name) as connection:
                connection.sendall(text)
                said = b""
                while (cut is None or len(said) < cut) and (piece := connection.recv(65536)):
                    said += piece
                return said

    def entered(self, login):
        return f"USER {login[0]}\r\nPASS {login[1]}\r\n".encode()

    def test_a_pipelined_conversation_is_answered_in_order(self):
        login = self.box.add_account("q" + uuid.uuid4().hex[:8])
        contents = [b"Subject: %d\r\n\r\n.%d\r\n" % (n, n) + b"y" * 70 * (n % 40) + b"\r\n" for n in range(200)]
        with self.box.smtp() as smtp:
            for content in contents:
                smtp.sendmail("a@example.net", [login[0]], content)
        commands = b"".join(b"RETR %d\r\n" % n for n in range(1, 201))
        said = self.say(self.entered(login) + commands + b"TOP 200 0\r\nNONSENSE\r\nSTAT\r\nQUIT\r\n")
        responses = said.split(b"\r\n.\r\n")
        self.assertEqual(len(responses), 202)
        for response, content in zip(responses, contents):
            stuffed = content.replace(b"\r\n.", b"\r\n..")
            self.assertTrue((response + b"\r\n").endswith(stuffed), content[:20])
        self.assertTrue(responses[200].endswith(b"Subject: 199\r\n"), responses[200])
        self.assertRegex(responses[201], rb"^-ERR [^\r]+\r\n\+OK 200 \d+\r\n\+OK [^\r]+\r\n$")

    def test_what_was_typed_before_stls_is_forgotten(self):
        login = self.fresh()
        with socket.create_connection(("127.0.0.1", self.port(STLS)), timeout=PATIENCE) as plain:
            plain.recv(512)
            plain.sendall(b"STLS\r\n" + self.entered(login) + b"DELE 1\r\nQUIT\r\n")
            self.assertTrue(plain.recv(512).startswith(b"+OK"))
            # The rest either was dropped with the buffer or breaks the handshake; it is never obeyed.
            try:
                with self.box.tls().wrap_socket(plain, server_hostname=self.box.name) as connection:
                    connection.sendall(b"STAT\r\n")
                    self.assertTrue(connection.recv(512).startswith(b"-ERR"))
            except OSError:
                pass
        self.assertEqual(len(self.box.mails(login)), 1)

    def test_who_hangs_up_amid_a_message_has_deleted_nothing_even_with_quit_on_the_way(self):
        login = self.box.add_account("h" + uuid.uuid4().hex[:8])
        # More than the buffers between the two hold: the server can't have come to QUIT.
        contents = [b"Subject: short\r\n\r\nx\r\n", b"Subject: long\r\n\r\n" + (b"z" * 998 + b"\r\n") * 30_000]
        for content in contents:
            self.box.send(login[0], content)
        said = self.say(self.entered(login) + b"DELE 1\r\nRETR 2\r\nQUIT\r\n", cut=200_000)
        self.assertIn(b"Subject: long", said)
        self.assertEqual(self.box.mails(login), contents)


class Plug(BoxTest):
    """The plug is pulled just after the answer to QUIT, and just before the question."""

    def test_an_acknowledged_quit_deletes_for_good_and_nothing_else_does(self):
        login = self.box.add_account("plug")
        with self.box.smtp() as smtp:
            for n in range(6):
                smtp.sendmail("a@example.net", [login[0]], f"Subject: {n}\r\n\r\nx\r\n")
        for wanted in ([b"Subject: %d" % n for n in range(k, 6)] for k in (1, 2, 3)):
            session = self.box.pop3s(login)
            session.dele(1)
            session.quit()
            session = self.box.pop3s(login)
            session.dele(1)
            self.box.kill()
            session.close()
            self.box.serve()
            self.box.wait()
            self.assertEqual([m.split(b"\r\n")[0] for m in self.box.mails(login)], wanted)
