"""Checks the parts of a kit, joins and unpacks them: python3 load.py [--into FOLDER]. Python 3.6, nothing else."""

import argparse
import glob
import hashlib
import json
import os
import sys
import tarfile
import zipfile

_READ = 1 << 20


class Parts:
    """The parts as one stream that can be read forwards."""

    def __init__(self, paths):
        self._paths, self._file = list(paths), None

    def read(self, size):
        data = b""
        while len(data) < size:
            if self._file is None:
                if not self._paths:
                    break
                self._file = open(self._paths.pop(0), "rb")  # noqa: SIM115
            piece = self._file.read(size - len(data))
            if not piece:
                self._file.close()
                self._file = None
            data += piece
        return data


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", default="gpu-kit", help="new folder (default: gpu-kit)")
    arguments = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "kit.json")) as file:
        parts = json.load(file)["parts"]
    for part in parts:
        fault = find_fault(os.path.join(here, part["name"]), part)
        if fault:
            sys.exit("error: {}: {}; copy it again".format(part["name"], fault))
    if os.path.exists(arguments.into):
        sys.exit(f"error: {arguments.into}: is there already; choose another --into")
    stream = Parts(os.path.join(here, part["name"]) for part in parts)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            unsafe = member.name.startswith("/") or ".." in member.name.split("/")
            if unsafe:
                sys.exit(f"error: {member.name}: leads out of the folder")
            archive.extract(member, arguments.into)
    install(arguments.into)


def find_fault(path, part):
    """What is wrong with a part, "" where it is whole."""
    if not os.path.isfile(path):
        return "is missing"
    if os.path.getsize(path) != part["bytes"]:
        return "has {} bytes, not {}".format(os.path.getsize(path), part["bytes"])
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(_READ), b""):
            found.update(block)
    return "" if found.hexdigest() == part["sha256"] else "is damaged"


def install(folder):
    """Unpack every set of wheels into a folder of its own, and print how to use one."""
    wheels = os.path.join(folder, "wheels")
    sets = sorted(os.listdir(wheels)) if os.path.isdir(wheels) else []
    for name in sets:
        for wheel in sorted(os.listdir(os.path.join(wheels, name))):
            with zipfile.ZipFile(os.path.join(wheels, name, wheel)) as archive:
                archive.extractall(os.path.join(folder, "sites", name))
    root = os.path.abspath(folder)
    print("unpacked {} sets: {}".format(len(sets), ", ".join(sets)))
    for name in sets:
        if name != "base":
            print(command(root, name))


def variables(root, name):
    """The environment in which the kit's Python finds one set, and nothing of the machine's."""
    libraries = glob.glob(os.path.join(root, "sites", name, "nvidia", "*", "lib"))
    return {
        "PYTHONHOME": f"{root}/python",
        "PYTHONPATH": f"{root}/sites/{name}:{root}/sites/base",
        "LD_LIBRARY_PATH": ":".join(sorted(libraries)),
    }


def interpreter(root):
    """The kit's Python."""
    return f"{root}/python/bin/python3.10"


def command(root, name):
    """The line that runs the benchmark with one set."""
    networks = sorted(glob.glob(os.path.join(root, "networks", "*.onnx")))
    words = [f"cd {root}/repository &&"]
    words += [f"{key}={value}" for key, value in variables(root, name).items()]
    words.append(f"{interpreter(root)} -m benchmarks.gpu --out {root}/evidence-{name}")
    if networks:
        words.append(f"--networks {','.join(networks)}")
    return " ".join(words)


if __name__ == "__main__":
    main()
