"""Programs that send."""

import os
import smtplib
import tempfile
import uuid

from box import BoxTest


class Sending(BoxTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.box.empty(cls.box.ann)
        cls.box.empty(cls.box.bob)

    def arrives(self, login, token):
        found = [m for m in self.box.mails(login) if token.encode() in m]
        self.assertEqual(len(found), 1, f"{token} is there {len(found)} times")
        return found[0]

    def swaks(self, *words):
        return self.run_program("swaks", "--ehlo", "client.example", "--server", "127.0.0.1", *words)

    def test_swaks_sends_as_another_server_with_starttls_and_pipelining(self):
        token = uuid.uuid4().hex
        code, said = self.swaks("--port", str(self.box.ports["smtp"]), "--from", "a@example.net", "--to",
                                self.box.ann[0], "--tls", "--tls-verify", "--tls-ca-path", self.box.ca,
                                "--pipeline", "--body", token)
        self.assertEqual(code, 0, said)
        self.arrives(self.box.ann, token)

    def test_swaks_submits_with_login(self):
        for port, tls in (("submission", "--tls"), ("submissions", "--tls-on-connect")):
            for mechanism in ("PLAIN", "LOGIN"):
                token = uuid.uuid4().hex
                code, said = self.swaks("--port", str(self.box.ports[port]), tls, "--from", self.box.ann[0], "--to",
                                        self.box.bob[0], "--auth", mechanism, "--auth-user", self.box.ann[0],
                                        "--auth-password", self.box.ann[1], "--body", token)
                self.assertEqual(code, 0, said)
                received = self.arrives(self.box.bob, token)
                self.assertIn(token.encode(), received)

    def test_a_wrong_login_is_told_what_to_do(self):
        for user, wanted in ((self.box.ann[0], "Wrong user name or password"), ("ann", "full e-mail address")):
            code, said = self.swaks("--port", str(self.box.ports["submission"]), "--tls", "--from", self.box.ann[0],
                                    "--to", self.box.bob[0], "--auth", "PLAIN", "--auth-user", user,
                                    "--auth-password", "wrong")
            self.assertNotEqual(code, 0)
            self.assertIn(wanted, said)

    def test_no_relay_no_strangers_no_password_in_the_clear(self):
        port = str(self.box.ports["smtp"])
        code, said = self.swaks("--port", port, "--from", "a@example.net", "--to", "b@example.com")
        self.assertIn("550 5.7.1", said)
        code, said = self.swaks("--port", port, "--from", "a@example.net", "--to", "nobody@example.test")
        self.assertIn("550 5.1.1", said)
        code, said = self.swaks("--port", str(self.box.ports["submission"]), "--from", self.box.ann[0], "--to",
                                self.box.bob[0])
        self.assertIn("530 5.7.0", said)
        smtp = smtplib.SMTP("127.0.0.1", self.box.ports["submission"], timeout=20)
        smtp.ehlo()
        self.assertNotIn("auth", smtp.esmtp_features)
        smtp.quit()

    def test_nobody_sends_as_somebody_else(self):
        code, said = self.swaks("--port", str(self.box.ports["submissions"]), "--tls-on-connect", "--from",
                                self.box.bob[0], "--to", self.box.bob[0], "--auth", "PLAIN", "--auth-user",
                                self.box.ann[0], "--auth-password", self.box.ann[1])
        self.assertIn("550 5.7.1", said)

    def test_msmtp_submits(self):
        token = uuid.uuid4().hex
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "msmtprc")
            with open(config, "w") as file:
                file.write(f"account a\nhost {self.box.name}\nport {self.box.ports['submission']}\nauth on\n"
                           f"user {self.box.ann[0]}\npassword {self.box.ann[1]}\ntls on\ntls_starttls on\n"
                           f"tls_trust_file {self.box.ca}\nfrom {self.box.ann[0]}\n")
            os.chmod(config, 0o600)
            code, said = self.run_program("msmtp", "-C", config, "-a", "a", self.box.bob[0],
                                          text=f"Subject: x\n\n.leading dot {token}\n")
        self.assertEqual(code, 0, said)
        self.assertIn(b"\r\n.leading dot", self.arrives(self.box.bob, token))

    def test_curl_submits_over_tls_from_the_start(self):
        token = uuid.uuid4().hex
        code, said = self.run_program(
            "curl", "-sS", "--cacert", self.box.ca, "--user", ":".join(self.box.ann), "--mail-from", self.box.ann[0],
            "--mail-rcpt", self.box.bob[0], "--upload-file", "-", f"smtps://{self.box.name}:{self.box.ports['submissions']}",
            text=f"Subject: x\r\n\r\n{token}\r\n")
        self.assertEqual(code, 0, said)
        self.arrives(self.box.bob, token)

    def test_python_sends_to_an_alias_and_everybody_gets_one(self):
        token = uuid.uuid4().hex
        self.box.send(["info@example.test", self.box.ann[0]], f"Subject: x\r\n\r\n{token}\r\n".encode())
        self.arrives(self.box.ann, token)
        self.arrives(self.box.bob, token)

    def test_a_demo_keeps_mail_to_the_world_to_itself(self):
        with smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=20) as smtp:
            smtp.login(*self.box.ann)
            smtp.sendmail(self.box.ann[0], ["someone@example.org"], f"From: {self.box.ann[0]}\r\nSubject: out\r\n\r\nx\r\n")
        code, said = self.box.command("queue", "list", "someone@example.org")
        self.assertIn("held by the owner", said)
        self.assertIn("1 recipients are removed", self.box.command("queue", "remove", "someone@example.org")[1])

    def test_postmaster_is_always_taken_and_the_ledger_tells(self):
        token = uuid.uuid4().hex
        with self.box.smtp() as smtp:
            smtp.ehlo()
            smtp.docmd("MAIL FROM:<>")
            self.assertEqual(smtp.docmd("RCPT TO:<postmaster>")[0], 250)
            self.assertEqual(smtp.docmd("DATA")[0], 354)
            smtp.send(f"Subject: Ledger {token}\r\n\r\nx\r\n.\r\n")
            code, text = smtp.getreply()
        self.assertEqual(code, 250)
        short = text.decode().split()[-1]
        code, said = self.box.command("ledger", "find", "--code", short)
        self.assertIn("delivered", said)
        code, said = self.box.command("ledger", "find", "--subject", token)
        self.assertIn(short, said)
