"""The settings file: what can't work is refused by check and by serve alike, and what is taken can't end the server."""

import os
import poplib
import smtplib
import tempfile
import unittest

from box import Box
from test_web import Browser

MOST = """
    messages = 1000000000
    errors = 1000000000
    octets_in_flight = 1073741824
    password_checks = 1000
    [timeouts]
    smtp_command = 86400
    smtp_data = 86400
    send = 86400
    tls_handshake = 86400
    pop3_idle = 86400
    pop3_login = 86400
    [login]
    failures = 1
    wait = 3600
    remember = 2592000
    delay = 86400
    [retention]
    trash_days = 36500
    ledger_days = 36500
    [web]
    session_hours = 87600
    [outbound]
    hold = true
    retry = [2592000]
    lifetime = 31622400
    warn_after = 31622400
"""


class Settings(unittest.TestCase):
    def test_check_and_serve_refuse_in_the_same_words(self):
        box = Box()
        self.addCleanup(box.stop)
        with tempfile.TemporaryDirectory() as folder:
            good = f'data = "{folder}/data"\n'
            for text, said in (
                (good + '[log]\nlevel = "loud"\n', "log.level"),
                (good + '[tls]\ncertificate = "/nonexist"\nkey = "/nonexist"\n', "tls.certificate"),
                (good + '[tls]\ncertificate = "/nonexist"\n', "tls.key"),
                ('hostname = "mäil.test"\n' + good, "hostname"),
                ('hostname = "a\\r\\n250 evil"\n' + good, "hostname"),
                ('data = "/etc/passwd"\n', "data"),
                ('data = ""\n', "data"),
                (good + '[listen]\npop3 = ["127.0.0.1:25"]\n', "listen.smtp and listen.pop3"),
                (good + "[timeouts]\npop3_idle = 9223372036854775807\n", "timeouts.pop3_idle"),
                (good + "[login]\nwait = 9223372036854775807\n", "login.wait"),
            ):
                box.facts["config"], right = os.path.join(folder, "settings.toml"), box.facts["config"]
                with open(box.facts["config"], "w") as file:
                    file.write(text)
                checked, served = box.command("check"), box.command("serve")
                box.facts["config"] = right
                self.assertEqual(checked[0], 1, text)
                self.assertIn(said, checked[1])
                self.assertEqual(served, checked)
            self.assertFalse(os.path.exists(os.path.join(folder, "data")))

    def test_the_largest_numbers_serve(self):
        box = Box(MOST)
        self.addCleanup(box.stop)
        for _ in range(3):
            with self.assertRaises(smtplib.SMTPAuthenticationError):
                smtp = smtplib.SMTP_SSL(box.name, box.ports["submissions"], context=box.tls())
                self.addCleanup(smtp.close)
                smtp.login(box.ann[0], "wrong")
            with self.assertRaises(poplib.error_proto):
                box.pop3s((box.ann[0], "wrong"))
            Browser(f"https://{box.name}:{box.ports['https']}", box.tls()).post("/login", user=box.ann[0], password="wrong")
        box.send(box.ann[0], b"Subject: x\r\n\r\nx\r\n")
        session = box.pop3s(box.ann)
        self.assertGreater(session.stat()[0], 0)
        session.quit()


if __name__ == "__main__":
    unittest.main()
