#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes what an image says about its parts: make_sbom.py TREE KERNEL... [--models MODEL...] [--bundles FOLDER...]

TREE is the folder that becomes the image. /licences gets a README with a line for each component of
iso/components.toml, and their licences and copyright notices. /sbom.spdx.json is a software bill of
materials (SPDX 2.3): the components with versions and licences, the kernel and the models with their
SHA-256. It has the date SOURCE_DATE_EPOCH and a name made of its contents, so that equal images have
equal ones.
"""
import argparse
import gzip
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

import fetch_third_party

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACES = {"kernel": "compiled into the kernel", "loader": "a separate program on this medium"}
WHOLE_KERNEL = "GPL-2.0-only"  # of all that is linked into it together


def fail(text: str) -> None:
    sys.exit(f"sbom: {text}")


def version_of(row: dict) -> tuple[str, str]:
    """Returns a component's version and the package URL of its source; Marrow itself has none."""
    if row["version"] == "project":
        return (ROOT / "VERSION").read_text().strip(), ""
    if row["version"] == "lock":
        file = fetch_third_party.CACHE / row["lock"] / "version"
        if not file.exists():
            fail(f"{row['name']} was not fetched: make kernel")
        version = file.read_text().strip()
    else:
        asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", row["package"]], capture_output=True, text=True, check=False)
        if asked.returncode != 0:
            fail(f"the package {row['package']} of {row['name']} is not installed: scripts/setup.sh build iso")
        version = asked.stdout.strip()
    return version, f"pkg:deb/debian/{row['package']}@{version}"


def copy_texts(row: dict, folder: pathlib.Path) -> list[str]:
    """Copies a component's licence texts into the folder. Returns their names there."""
    names = []
    for number, path in enumerate(row["texts"]):
        source = ROOT / path
        if not source.exists():
            fail(f"{source}, the licence of {row['name']}, is missing: make kernel")
        names.append(re.sub(r"[^A-Za-z0-9]+", "-", row["name"]) + (f".{number + 1}" if number else "") + ".txt")
        text = source.read_bytes()
        (folder / names[-1]).write_bytes(gzip.decompress(text) if source.suffix == ".gz" else text)
    return names


def write_licences(rows: list[dict], folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    lines = ["What this image holds, and under which licence. The texts lie beside this file; /sbom.spdx.json has the same",
             "for programs.", ""]
    for row in rows:
        texts = ", ".join(copy_texts(row, folder))
        source = f"; source: Debian package {row['package']}" if "package" in row else ""
        lines.append(f"{row['name']} {version_of(row)[0]} ({row['what']}): {row['licence']}, {PLACES[row['place']]}{source} [{texts}]")
    lines += ["", "Models carry their own licences; /boot/manifest.json and /sbom.spdx.json name each file."]
    (folder / "README").write_text("\n".join(lines) + "\n")


def sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_licence(digest: str) -> str:
    """Returns the SPDX licence of a model that the catalogue knows by its hash."""
    catalogue = tomllib.loads((ROOT / "scripts/models.toml").read_text())["model"]
    known = next((model["licence"] for model in catalogue.values() if model.get("sha256") == digest), "NOASSERTION")
    return known if re.fullmatch(r"[A-Za-z0-9.+-]+", known) else "NOASSERTION"


def package(name: str, version: str, declared: str, **more) -> dict:
    """Returns an SPDX package. `more` are further fields."""
    return {"SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name), "name": name, **({"versionInfo": version} if version else {}),
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": declared, "licenseDeclared": declared,
            "copyrightText": "NOASSERTION", **more}


def checksum(digest: str) -> list[dict]:
    return [{"algorithm": "SHA256", "checksumValue": digest}]


def bill(rows: list[dict], kernels: list[pathlib.Path], models: dict[str, pathlib.Path]) -> dict:
    """`models` are files, by the names that they get here."""
    image = package("Marrow image", rows[0]["at"], "NOASSERTION")
    built = [package(f"kernel {file.name}", rows[0]["at"], WHOLE_KERNEL, checksums=checksum(sha256(file))) for file in kernels]
    packages = [image, *built]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", image["SPDXID"]), *((image["SPDXID"], "CONTAINS", one["SPDXID"]) for one in built)]
    for row in rows:
        more = {"comment": row["what"]}
        if row["purl"]:
            more["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": row["purl"]}]
        packages.append(package(row["name"], row["at"], row["licence"], **more))
        linked = row["place"] == "kernel"
        relations += [(holder["SPDXID"], "STATIC_LINK" if linked else "CONTAINS", packages[-1]["SPDXID"])
                      for holder in (built if linked else [image])]
    for name, model in models.items():
        digest = sha256(model)
        packages.append(package(f"model {name}", "", model_licence(digest), checksums=checksum(digest)))
        relations.append((image["SPDXID"], "CONTAINS", packages[-1]["SPDXID"]))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "0"))))
    document = {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "Marrow image",
                "creationInfo": {"created": created, "creators": ["Tool: marrow-make_sbom"]}, "packages": packages,
                "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations]}
    name = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return {**document, "documentNamespace": f"urn:marrow:image:{name}"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("kernels", type=pathlib.Path, nargs="+")
    parser.add_argument("--models", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--bundles", type=pathlib.Path, nargs="*", default=[])
    words = parser.parse_args()
    models = {model.name: model for model in words.models}
    for folder in words.bundles:  # NAME/GENERATION
        models |= {f"{folder.parent.name}/{folder.name}/{file.name}": file for file in sorted(folder.glob("model.*")) if file.suffix != ".chunks"}
    rows = tomllib.loads((ROOT / "iso/components.toml").read_text())["component"]
    for row in rows:
        row["at"], row["purl"] = version_of(row)
    write_licences(rows, words.tree / "licences")
    (words.tree / "sbom.spdx.json").write_text(json.dumps(bill(rows, words.kernels, models), indent=1) + "\n")


if __name__ == "__main__":
    main()
