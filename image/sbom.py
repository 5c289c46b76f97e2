"""From `cargo metadata` on standard input to a list of parts in CycloneDX's form (version 1.6) on standard output."""
import json
import sys

metadata = json.load(sys.stdin)
ours = set(metadata["workspace_members"])


def part(package):
    found = {"type": "library", "name": package["name"], "version": package["version"], "bom-ref": package["id"],
             "purl": f"pkg:cargo/{package['name']}@{package['version']}"}
    if package.get("license"):
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return found


# What a program is made of: not what only tests and builds on other systems need.
needed, waiting = set(), [node for node in ours if any(name in node for name in ("maild", "host", "beacon"))]
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
while waiting:
    node = waiting.pop()
    if node in needed:
        continue
    needed.add(node)
    for edge in nodes[node]["deps"]:
        if any(kind["kind"] is None and "windows" not in (kind["target"] or "") for kind in edge["dep_kinds"]):
            waiting.append(edge["pkg"])
packages = sorted((package for package in metadata["packages"] if package["id"] in needed), key=lambda package: package["name"])
json.dump({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
           "metadata": {"component": {"type": "firmware", "name": "pillarbox", "version": next(p["version"] for p in packages if p["id"] in ours)}},
           "components": [part(package) for package in packages if package["id"] not in ours]}, sys.stdout, indent=1)
