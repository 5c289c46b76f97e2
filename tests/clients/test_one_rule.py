"""A rule of the box is the same at every way in: command line, page, set-up file; submission, POP3, page."""

import email
import json
import poplib
import pathlib
import shutil
import smtplib
import subprocess
import tempfile
import unittest

from box import BIN, PATIENCE, BoxTest, raw
from test_setup import owner
from test_web import Browser, token, write

PASSWORD = "a sentence to keep"
NAME = "Pat Sample"


class OneRule(BoxTest):
    def by_command(self, address, password):
        code, said = self.box.command("account", "add", address, "--name", NAME, "--password-stdin", text=password + "\n")
        return code == 0, said

    def by_page(self, address, password):
        browser = owner(self.box)
        _, _, page = browser.get("/people")
        status, _, page = browser.post("/people", token=token(page), address=address, name=NAME, how="choose", password=password)
        return status == 200, page

    def accounts(self, config=None):
        done = subprocess.run([BIN, "--config", config or self.box.facts["config"], "account", "list", "--json"],
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
        return {account["address"]: account for account in json.loads(done.stdout)}

    def by_file(self, address, password):
        """A box of its own that the file sets up; what its account list says, and what is wrong with the file."""
        folder = tempfile.mkdtemp(prefix="pillarbox-test-")
        self.addCleanup(shutil.rmtree, folder)
        data = pathlib.Path(folder, "data")
        data.mkdir()
        config = f"{folder}/pillarbox.toml"
        ports = "".join(f'{name} = ["127.0.0.1:0"]\n' for name in
                        ("smtp", "submission", "submissions", "pop3", "pop3s", "http", "https"))
        pathlib.Path(config).write_text(f'hostname = "mail.example.test"\ndata = "{data}"\n[listen]\n{ports}')
        (data / "pillarbox-setup.toml").write_text(
            f'domains = ["example.test"]\n[[person]]\naddress = "{address}"\nname = "{NAME}"\npassword = "{password}"\n')
        server = subprocess.Popen([BIN, "--config", config, "serve"], stderr=subprocess.PIPE, text=True)
        try:
            for line in server.stderr:
                if "listening" in line:
                    break
        finally:
            server.terminate()
            server.communicate(timeout=PATIENCE)
        mistake = data / "pillarbox-setup.toml.error"
        return self.accounts(config), mistake.read_text() if mistake.exists() else ""

    def test_a_person_is_the_same_whoever_adds_them(self):
        for local, add in (("command", self.by_command), ("page", self.by_page)):
            is_done, said = add(f"{local}@example.test", PASSWORD)
            self.assertTrue(is_done, said)
        found = self.accounts()
        from_file, mistake = self.by_file("file@example.test", PASSWORD)
        self.assertEqual(mistake, "")
        found.update(from_file)
        for local in ("command", "page", "file"):
            account = found[f"{local}@example.test"]
            self.assertEqual((account["name"], account["policy"]), (NAME, "trash after 30 days"), local)
        for local in ("command", "page"):
            self.box.pop3s((f"{local}@example.test", PASSWORD)).quit()

    def test_a_short_password_is_refused_by_all(self):
        for add in (self.by_command, self.by_page):
            is_done, said = add("short@example.test", "123456789")
            self.assertFalse(is_done)
            self.assertIn("at least 10 characters", said)
        accounts, mistake = self.by_file("short@example.test", "123456789")
        self.assertIn("at least 10 characters", mistake)
        self.assertEqual((accounts, "short@example.test" in self.accounts()), ({}, False))

    def test_who_is_not_let_in_hears_the_same_from_all(self):
        wrong = ("Wrong user name or password", "is wrong")
        for user, password, (said, page_says) in ((self.box.ann[0], "not this one", wrong),
                                                  ("nobody@example.test", "not this one", wrong),
                                                  ("ann", self.box.ann[1], ("full e-mail address", "full e-mail address"))):
            with smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE) as smtp:
                with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
                    smtp.login(user, password)
            self.assertEqual(refused.exception.smtp_code, 535)
            self.assertIn(said, refused.exception.smtp_error.decode())
            with self.assertRaises(poplib.error_proto) as refused:
                self.box.pop3s((user, password))
            self.assertIn("[AUTH] ", str(refused.exception))
            self.assertIn(said, str(refused.exception))
            browser = Browser(f"https://{self.box.name}:{self.box.ports['https']}", self.box.tls())
            status, _, page = browser.post("/login", user=user, password=password)
            self.assertEqual(status, 403)
            self.assertIn(page_says, page)

    def by_port_25(self, to, subject):
        try:
            self.box.send(to, f"Subject: {subject}\r\n\r\nx\r\n")
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[to][1].decode()
        return ""

    def by_program(self, to, subject, header=""):
        with smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE) as smtp:
            smtp.login(*self.box.bob)
            try:
                smtp.sendmail(self.box.bob[0], to, f"{header or f'From: {self.box.bob[0]}'}\r\nSubject: {subject}\r\n\r\nx\r\n")
            except smtplib.SMTPRecipientsRefused as refused:
                return next(iter(refused.recipients.values()))[1].decode()
            except smtplib.SMTPDataError as refused:
                return refused.smtp_error.decode()
        return ""

    def by_webmail(self, to, subject, **fields):
        browser = Browser(f"https://{self.box.name}:{self.box.ports['https']}", self.box.tls())
        browser.post("/login", user=self.box.bob[0], password=self.box.bob[1])
        browser.post("/mail/settings", token=token(browser.get("/mail/settings")[2]), undo="0", conversations="1")
        status, place, page = write(browser, to=to, subject=subject, body="x", **fields)
        return "" if (status, place) == (200, "/mail/2") else page

    def inbox(self, login):
        session = self.box.pop3s(login)
        found = [email.message_from_bytes(raw(session, number + 1)) for number in range(session.stat()[0])]
        session.quit()
        return found

    def subjects(self, login):
        return [message["Subject"] for message in self.inbox(login)]

    def test_a_recipient_is_the_same_for_whoever_sends(self):
        local, domain = self.box.ann[0].split("@")
        code, said = self.box.command("alias", "add", f"desk@{domain}", self.box.ann[0])
        self.assertEqual(code, 0, said)
        for number, send in enumerate((self.by_port_25, self.by_program, self.by_webmail)):
            for to in (self.box.ann[0], f"{local}+shop@{domain}", f"desk@{domain}", f"desk+x@{domain}", f"postmaster@{domain}"):
                subject = f"{to} {number}"
                self.assertEqual(send(to, subject), "")
                self.assertIn(subject, self.subjects(self.box.ann), send.__name__)
            said = send(f"nobody@{domain}", "lost")
            self.assertRegex(said, "Nobody here has the address|is not an address of this box", send.__name__)

    def test_what_is_sent_is_the_same_from_a_program_and_from_webmail(self):
        ann, bob = self.box.ann, self.box.bob
        self.assertEqual(self.by_program([ann[0]], "program", f"From: {bob[0]}\r\nBcc: secret@example.test"), "")
        self.assertEqual(self.by_webmail(ann[0], "webmail", bcc=bob[0]), "")
        for subject in ("program", "webmail"):
            found = [message for message in self.inbox(ann) if message["Subject"] == subject]
            self.assertEqual(len(found), 1)
            self.assertEqual((found[0]["Bcc"], found[0].get_all("From") is not None), (None, True))
            self.assertTrue(found[0]["Date"] and found[0]["Message-ID"], subject)
            # Where a worker sits is shown to no one.
            self.assertNotIn("127.0.0.1", found[0]["Received"])
        # Nobody writes in somebody else's name, whichever way.
        self.assertRegex(self.by_program([ann[0]], "foreign", f"From: {ann[0]}"), "may not send as")
        self.assertEqual(self.by_webmail(ann[0], "own name", **{"from": ann[0]}), "")
        found = {message["Subject"]: message for message in self.inbox(ann)}
        self.assertNotIn("foreign", found)
        self.assertIn(bob[0], found["own name"]["From"])
        self.assertNotIn(ann[0], found["own name"]["From"])


if __name__ == "__main__":
    unittest.main()
