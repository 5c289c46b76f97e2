"""Programs that fetch."""

import json
import os
import poplib
import ssl
import tempfile
import uuid

from box import BoxTest


class Fetching(BoxTest):
    def fresh(self):
        """A mailbox with two messages, and a token that stands in both."""
        token = uuid.uuid4().hex
        login = self.box.add_account("u" + token[:8])
        for n in (1, 2):
            self.box.send(login[0], f"Subject: number {n}\r\n\r\n.dot\r\n{token}\r\n".encode())
        return login, token

    def configured(self, program, config, *words):
        """Runs a program with a configuration file in a folder of its own; returns what it stored."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rc")
            with open(path, "w") as file:
                file.write(config.replace("FOLDER", folder))
            os.chmod(path, 0o600)
            open(os.path.join(folder, "inbox"), "w").close()
            code, said = self.run_program(program, *[w.replace("FOLDER", folder) for w in words],
                                          env={"HOME": folder, "FETCHMAILHOME": folder})
            with open(os.path.join(folder, "inbox"), errors="replace") as file:
                stored = file.read()
        return code, said, stored

    def assert_fetched(self, code, said, stored, token):
        self.assertEqual(code, 0, said)
        self.assertEqual(stored.count(token), 2, said + stored)
        self.assertIn("\n.dot", stored)

    def test_curl_with_stls_and_with_tls_from_the_start(self):
        login, token = self.fresh()
        for words in (["--ssl-reqd", f"pop3://{self.box.name}:{self.box.ports['pop3']}/2"],
                      [f"pop3s://{self.box.name}:{self.box.ports['pop3s']}/2"]):
            code, said = self.run_program("curl", "-sS", "--cacert", self.box.ca, "--user", ":".join(login), *words)
            self.assertEqual(code, 0, said)
            self.assertIn(token, said)

    def test_fetchmail_with_stls(self):
        login, token = self.fresh()
        config = (f'poll {self.box.name} proto pop3 port {self.box.ports["pop3"]} uidl user "{login[0]}" password "{login[1]}" '
                  f'sslproto "auto" sslcertck sslcertfile "{self.box.ca}" mda "cat >> FOLDER/inbox" fetchall\n')
        done = self.configured("fetchmail", config, "-f", "FOLDER/rc", "--pidfile", "FOLDER/pid", "-i", "FOLDER/ids", "--nosyslog")
        self.assert_fetched(*done, token)
        self.assertEqual(self.box.mails(login), [])

    def test_mpop_over_tls(self):
        login, token = self.fresh()
        config = (f"account a\nhost {self.box.name}\nport {self.box.ports['pop3s']}\nuser {login[0]}\n"
                  f"password {login[1]}\ntls on\ntls_starttls off\ntls_trust_file {self.box.ca}\n"
                  f"delivery mda cat >> FOLDER/inbox\nuidls_file FOLDER/uidls\nkeep off\n")
        done = self.configured("mpop", config, "-C", "FOLDER/rc", "a")
        self.assert_fetched(*done, token)
        self.assertEqual(self.box.mails(login), [])

    def test_getmail_over_tls_leaves_mail_on_the_server(self):
        login, token = self.fresh()
        config = (f"[retriever]\ntype = SimplePOP3SSLRetriever\nserver = {self.box.name}\nport = {self.box.ports['pop3s']}\n"
                  f"username = {login[0]}\npassword = {login[1]}\nca_certs = {self.box.ca}\n"
                  f"[destination]\ntype = MDA_external\npath = /bin/sh\n"
                  f"arguments = ('-c', 'cat >> FOLDER/inbox')\nallow_root_commands = true\n[options]\nread_all = false\n")
        done = self.configured("getmail", config, "--getmaildir", "FOLDER", "--rcfile", "FOLDER/rc")
        self.assert_fetched(*done, token)
        self.assertEqual(len(self.box.mails(login)), 2)

    def test_python_sees_stable_unique_ids_and_a_dropped_line_deletes_nothing(self):
        login, _ = self.fresh()
        session = self.box.pop3s(login)
        ids = session.uidl()[1]
        session.dele(1)
        self.assertEqual(session.stat()[0], 1)
        session.close()
        session = self.box.pop3s(login)
        self.assertEqual(session.uidl()[1], ids)
        session.dele(1)
        session.rset()
        session.dele(2)
        session.quit()
        session = self.box.pop3s(login)
        self.assertEqual(session.uidl()[1], ids[:1])
        session.quit()

    def test_two_devices_both_get_everything(self):
        login, token = self.fresh()
        code, said = self.box.command("account", "device", "add", login[0], "Phone", "--json")
        self.assertEqual(code, 0, said)
        phone = (login[0], json.loads(said)["password"])
        self.box.empty(login)
        self.assertEqual(self.box.mails(login), [])
        self.assertEqual(len([m for m in self.box.mails(phone) if token.encode() in m]), 2)

    def test_logins_say_what_is_wrong(self):
        plain = poplib.POP3("127.0.0.1", self.box.ports["pop3"], timeout=20)
        self.assertNotIn("USER", plain.capa())
        with self.assertRaisesRegex(poplib.error_proto, "encryption"):
            plain.user(self.box.ann[0])
        plain.stls(context=unverified())
        self.assertIn("USER", plain.capa())
        plain.user("ann")
        with self.assertRaisesRegex(poplib.error_proto, "full e-mail address"):
            plain.pass_("wrong")
        plain.user(self.box.ann[0])
        with self.assertRaisesRegex(poplib.error_proto, r"\[AUTH\]"):
            plain.pass_("wrong")
        plain.close()


def unverified():
    """The connection is by address here; other tests check the certificate by name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
