"""The box's pages as a browser without JavaScript meets them: forms, cookies, TLS."""

import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import smtplib
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid
import xml.etree.ElementTree

from box import BIN, PATIENCE, BoxTest
from postfix import free_port


class Browser:
    def __init__(self, base, context=None):
        self.base = base
        handlers = [urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())]
        if context:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self.opener = urllib.request.build_opener(*handlers)

    def get(self, path, **headers):
        return self.ask(urllib.request.Request(self.base + path, headers=headers))

    def post(self, path, **form):
        data = urllib.parse.urlencode(form).encode()
        return self.ask(urllib.request.Request(self.base + path, data=data, headers={"Origin": self.base}))

    def ask(self, request):
        try:
            with self.opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.geturl().removeprefix(self.base), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, "", error.read().decode()


def token(page):
    return re.search(r'name="token" value="([0-9a-f]+)"', page)[1]


def write(browser, files=(), **fields):
    """Posts a letter as the form of webmail does."""
    boundary = uuid.uuid4().hex
    fields = {"token": token(browser.get("/compose")[2]), "order": "anyway", **fields}
    body = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items())
    for name, content in files:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode() + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    headers = {"Origin": browser.base, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    return browser.ask(urllib.request.Request(browser.base + "/compose", data=body, headers=headers))


class Pages(BoxTest):
    def browser(self):
        return Browser(f"https://{self.box.name}:{self.box.ports['https']}", self.box.tls())

    def signed_in(self, login):
        browser = self.browser()
        status, place, page = browser.post("/login", user=login[0], password=login[1])
        self.assertEqual(status, 200, page)
        return browser, place, page

    def test_the_owner_sees_home_and_a_worker_the_mailbox(self):
        _, place, page = self.signed_in(self.box.ann)
        self.assertEqual(place, "/home")
        browser, place, page = self.signed_in(self.box.bob)
        self.assertEqual(place, "/mail/1")
        self.assertIn(str(self.box.ports["pop3s"]), browser.get("/programs")[2])
        self.assertEqual(browser.get("/home")[0], 403)

    def test_a_wrong_password_and_a_short_name_are_told_apart(self):
        self.assertIn("address or the password is wrong", self.browser().post("/login", user=self.box.ann[0], password="x")[2])
        self.assertIn("full e-mail address", self.browser().post("/login", user="ann", password="x")[2])
        german = self.browser().get("/login", **{"Accept-Language": "de-DE,de"})[2]
        self.assertIn('lang="de"', german)
        self.assertIn("Anmelden", german)

    def test_a_new_mailbox_works_at_once(self):
        browser, _, page = self.signed_in(self.box.ann)
        page = browser.get("/people")[2]
        status, _, page = browser.post("/people", token=token(page), address="cy@example.test", name="Cy")
        self.assertEqual(status, 200)
        password = re.search(r'<code class="big">([^<]+)</code>', page)[1]
        session = self.box.pop3s(("cy@example.test", password))
        self.assertEqual(session.stat()[0], 0)
        session.quit()
        self.assertNotIn(password, browser.get("/people")[2])

    def test_the_queue_is_seen_and_ordered(self):

        with smtplib.SMTP_SSL(self.box.name, self.box.ports["submissions"], context=self.box.tls(), timeout=PATIENCE) as smtp:
            smtp.login(*self.box.bob)
            smtp.sendmail(self.box.bob[0], ["x@example.org"], f"From: {self.box.bob[0]}\r\nSubject: <b>bold</b>\r\n\r\nx\r\n")
        browser, _, page = self.signed_in(self.box.ann)
        page = browser.get("/queue")[2]
        self.assertIn("x@example.org", page)
        self.assertIn("&#60;b&#62;bold", page)
        number = re.search(r'name="number" value="([0-9.]+)"', page)[1]
        self.assertEqual(browser.post("/queue", token="0" * 64, number=number, order="remove")[0], 403)
        self.assertNotIn("x@example.org", browser.post("/queue", token=token(page), number=number, order="remove")[2])
        self.assertIn("x@example.org", browser.get("/find?q=x@example.org")[2])

    def test_programs_fetch_their_settings(self):
        status, _, xml_text = self.browser().get("/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=ann@example.test")
        self.assertEqual(status, 200)
        tree = xml.etree.ElementTree.fromstring(xml_text)
        incoming = tree.find("emailProvider/incomingServer[@type='pop3']")
        self.assertEqual((incoming.find("port").text, incoming.find("socketType").text), (str(self.box.ports["pop3s"]), "SSL"))

    def test_the_live_help_knows_a_program_that_only_has_old_tls(self):
        browser, _, _ = self.signed_in(self.box.bob)
        for service, start in (("submissions", ()), ("pop3s", ()), ("submission", ("-starttls", "smtp")), ("pop3", ("-starttls", "pop3"))):
            before = browser.get("/coach")[2].count("old encryption")
            subprocess.run(["openssl", "s_client", *start, "-connect", f"127.0.0.1:{self.box.ports[service]}", "-tls1", "-cipher", "ALL:@SECLEVEL=0"],
                           input=b"", capture_output=True, timeout=PATIENCE)
            end = time.monotonic() + PATIENCE
            while (after := browser.get("/coach")[2].count("old encryption")) == before and time.monotonic() < end:
                threading.Event().wait(0.05)
            self.assertEqual(after, before + 1, service)

    def test_health_for_monitors(self):
        status, _, text = self.browser().get("/health")
        self.assertEqual((status, json.loads(text)["ok"]), (200, True))


class FirstRun(unittest.TestCase):
    def test_the_claim_code_makes_an_owner_once(self):
        folder = tempfile.mkdtemp(prefix="pillarbox-web-")
        port = free_port("127.0.0.1")
        config = pathlib.Path(folder, "pillarbox.toml")
        silent = "".join(f"{name} = []\n" for name in ("smtp", "submission", "submissions", "pop3", "pop3s", "https"))
        config.write_text(f'hostname = "mail.office.test"\ndata = "{folder}/data"\n[listen]\n{silent}http = ["127.0.0.1:{port}"]\n')
        with open(os.path.join(folder, "log"), "wb") as log:
            process = subprocess.Popen([BIN, "--config", str(config), "serve"], stderr=log)
        try:
            code = self.eventually(pathlib.Path(folder, "data", "claim-code"))
            browser = Browser(f"http://localhost:{port}")
            form = {"domain": "office.test", "local": "owner", "name": "Olga", "password": "a short sentence"}
            self.assertIn("Make this mail box yours", browser.get("/")[2])
            status, _, page = browser.post("/setup", code="AAAAAAA", **form)
            self.assertEqual(status, 400)
            self.assertIn("not the claim code", page)
            self.assertNotIn("a short sentence", page)
            self.assertIn("10 characters", browser.post("/setup", code=code, **{**form, "password": "short"})[2])
            status, place, page = browser.post("/setup", code=code.lower(), **form)
            self.assertEqual((status, place), (200, "/name"), page)
            self.assertIn("v=spf1", browser.get("/domains")[2])
            self.assertFalse(pathlib.Path(folder, "data", "claim-code").exists())
            # A second person with the code is too late.
            late = Browser(f"http://localhost:{port}")
            self.assertEqual(late.post("/setup", code=code, **form)[1], "/login")
            self.assertEqual(late.post("/login", user="owner@office.test", password="a short sentence")[1], "/name")
        finally:
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)
            shutil.rmtree(folder)

    def eventually(self, path):
        end = time.monotonic() + PATIENCE
        while not path.exists() or not path.read_text():
            self.assertLess(time.monotonic(), end)
            threading.Event().wait(0.05)
        return path.read_text().strip()


if __name__ == "__main__":
    unittest.main()
