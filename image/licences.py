#!/usr/bin/env python3
"""The licences of everything that is in the programs, with their texts, for the page "About" and the image.

usage: cargo metadata --format-version 1 --locked | image/licences.py write|check

`write` makes appliance/web/assets/licences.txt.gz anew; `check` says whether it is what `write` would make.
"""
import collections
import gzip
import json
import pathlib
import re
import sys

PLACE = pathlib.Path(__file__).parent.parent / "appliance/web/assets/licences.txt.gz"
TEXTS = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)([-._].*)?", re.I)
# Compiled into the programs, and in no package of their own.
BESIDES = [("The Rust standard library", "MIT OR Apache-2.0"), ("musl libc, in the programs for boards", "MIT")]


def needed(metadata):
    """What a program is made of: not what only tests and builds on other systems need."""
    ours = set(metadata["workspace_members"])
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [node for node in ours if any(name in node for name in ("maild", "host", "beacon"))]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [edge["pkg"] for edge in nodes[node]["deps"]
                        if any(kind["kind"] is None and "windows" not in (kind["target"] or "") for kind in edge["dep_kinds"])]
    packages = [package for package in metadata["packages"] if package["id"] in found - ours]
    return sorted(packages, key=lambda package: (package["name"], package["version"]))


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and TEXTS.fullmatch(path.name))
    return [path.read_text(errors="replace").replace("\r\n", "\n").strip() for path in files]


def document(packages):
    """One list of all parts, then each text once with the parts it belongs to."""
    lines = ["Pillarbox is made with the work of others. These are its parts, their licences, and the texts that come with them.", ""]
    lines += [f"{name}: {licence}" for name, licence in BESIDES]
    owners = collections.OrderedDict()
    for package in packages:
        name = f"{package['name']} {package['version']}"
        lines.append(f"{name}: {(package.get('license') or 'see its text').replace('/', ' OR ')}")
        for text in texts(package):
            owners.setdefault(text, []).append(name)
    for text, names in owners.items():
        lines += ["", "=" * 72, ", ".join(names), "-" * 72, text]
    return "\n".join(lines) + "\n"


def main():
    made = gzip.compress(document(needed(json.load(sys.stdin))).encode(), compresslevel=9, mtime=0)
    if sys.argv[1:] == ["write"]:
        PLACE.write_bytes(made)
        return print(f"{PLACE.name}: {len(made)} octets")
    if not PLACE.exists() or gzip.decompress(PLACE.read_bytes()) != gzip.decompress(made):
        sys.exit(f"{PLACE.name} is not up to date: cargo metadata --format-version 1 --locked | image/licences.py write")
    print("the list of licences is up to date")


if __name__ == "__main__":
    main()
