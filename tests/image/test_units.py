"""Units and settings, read by the image's own systemd: a misspelt word would be passed over in silence on the box."""
import os
import re
import subprocess
import unittest

ROOT = os.path.join(os.environ["PILLARBOX_IMAGES"], "test", "root")
UNITS = os.path.join(ROOT, "usr/lib/systemd/system")
# Exposure as systemd counts it, in tenths: 0 is none, 100 is all.
EXPOSURE = {"pillarbox.service": 20, "pillarbox-beacon.service": 40, "pillarbox-name.service": 40}


def analyze(*words):
    return subprocess.run(["qemu-aarch64-static", "-L", ROOT, os.path.join(ROOT, "usr/bin/systemd-analyze"), *words],
                          capture_output=True, text=True, check=False)


class Units(unittest.TestCase):
    def test_every_unit_is_understood(self):
        for name in sorted(os.listdir(UNITS)):
            if not name.startswith("pillarbox"):
                continue
            said = analyze("verify", f"--root={ROOT}", "--man=no", "--recursive-errors=no", os.path.join(UNITS, name))
            # QEMU has no radio, so the test image has no program for one; the unit asks for it before it starts.
            known = [line for line in (said.stderr + said.stdout).splitlines() if "wpa_supplicant is not executable" not in line]
            with self.subTest(name):
                self.assertEqual(known, [])

    def test_a_misspelt_word_would_be_seen(self):
        path = os.path.join(ROOT, "etc/systemd/system/misspelt.service")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[Service]\nExecStart=/usr/bin/true\nProtectSytem=strict\n")
        try:
            said = analyze("verify", f"--root={ROOT}", "--man=no", "--recursive-errors=no", path)
            self.assertIn("ProtectSytem", said.stderr)
        finally:
            os.unlink(path)

    def test_the_server_can_do_little_besides_mail(self):
        for name, most in EXPOSURE.items():
            said = analyze("security", "--offline=true", f"--root={ROOT}", f"--threshold={most}", name)
            level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
            print(f"    exposure of {name}: {level and level.group(1)}")
            with self.subTest(name):
                self.assertEqual(said.returncode, 0, said.stdout[-1500:] + said.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
