#!/usr/bin/env python3
"""Downloads beside computing: how close a run comes to the longer of the two.

A hub on this machine, slowed to one rate for all connections together, serves
a ladder of checkpoints (a small model and a file that makes it `--size` large). Each is
read by a `command` stage that sleeps. They are `temp`, and `--disk` allows
`--ahead` of them at a time, besides one more for what a command is given: a
copy, where root runs it on a file system that cannot share. For each case:

  download   seconds that the files take at the hub's rate
  compute    seconds that the stages sleep, summed: `-j 1`
  run        wall time of `vgh run` from an empty cache
  ratio      run to the longer of the two
  floor      what no order can beat: the first download before, or the last
             computing after, the longer of the two; as a ratio
  peak       most bytes below the cache at a time, as a share of the budget

    python3 benches/prefetch.py --vgh target/release/vgh

Exits with 1 if a peak is above the budget, or a ratio above `--most` where one
download at a time has room to run ahead and the floor is not above it itself.
"""

import argparse
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPO = "owner/model"
SMALL = Path(__file__).resolve().parent.parent / "tests/fixtures/open"
PIECE = 64 << 10
# Seconds that a sleep may be longer than asked for.
LATE = 0.05


class Line:
    """A line of `rate` bytes a second that all connections share."""

    def __init__(self, rate):
        self.rate, self.free_at, self.lock = rate, 0.0, threading.Lock()

    def pass_on(self, count):
        with self.lock:
            now = time.monotonic()
            # Who woke up late catches up; a line that was idle saves nothing up.
            self.free_at = max(self.free_at, now - LATE) + count / self.rate
            wait = self.free_at - now
        time.sleep(max(0.0, wait))


def checkpoint(step, size):
    """Files of one revision; one that no model reads makes it large."""
    names = ("config.json", "tokenizer.json", "model.safetensors")
    files = {name: (SMALL / name).read_bytes() for name in names}
    # Other bytes for each step, and none that compress.
    block = hashlib.shake_256(str(step).encode()).digest(1 << 20)
    rest = max(0, size - sum(len(data) for data in files.values()))
    files["padding.bin"] = (block * (rest // len(block) + 1))[:rest]
    return files


def entry(path, data):
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found = {"type": "file", "path": path, "size": len(data), "oid": blob}
    if len(data) > 10_000:
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return found


class Hub(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, steps, size):
        super().__init__(("127.0.0.1", 0), Answers)
        self.line = None
        self.files = {f"{step:040x}": checkpoint(step, size) for step in steps}
        named = zip(steps, self.files)
        self.refs = [{"name": f"step{step}", "targetCommit": commit} for step, commit in named]

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def head(self, status, length, more=()):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()

    def say(self, value):
        text = json.dumps(value).encode()
        self.head(200, len(text), [("Content-Type", "application/json")])
        self.wfile.write(text)

    def do_GET(self):
        path = self.path.split("?")[0]
        hub = self.server
        if path == f"/api/models/{REPO}/refs":
            return self.say({"branches": hub.refs, "tags": []})
        if found := re.fullmatch(rf"/api/models/{REPO}/revision/(.+)", path):
            named = [ref["targetCommit"] for ref in hub.refs if ref["name"] == found[1]]
            return self.say({"sha": (named or [found[1]])[0]})
        if found := re.fullmatch(rf"/api/models/{REPO}/tree/(\w+)", path):
            return self.say([entry(*file) for file in hub.files[found[1]].items()])
        if found := re.fullmatch(rf"/{REPO}/resolve/(\w+)/(.+)", path):
            return self.file(found[1], hub.files[found[1]][found[2]])
        return self.head(404, 0)

    def file(self, commit, data):
        first = 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            first = int(asked[1])
        more = [("X-Repo-Commit", commit), ("Accept-Ranges", "bytes")]
        if first:
            more.append(("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}"))
        self.head(206 if first else 200, len(data) - first, more)
        for at in range(first, len(data), PIECE):
            piece = data[at : at + PIECE]
            self.server.line.pass_on(len(piece))
            self.wfile.write(piece)


def text(steps, disk, seconds):
    return f"""
[pipeline]
format = 1
name = "prefetch"

[axes]
step = {steps}

[stages.checkpoint]
kind = "hf-checkpoint"
over = ["step"]
repo = "{REPO}"
revision = "step{{step}}"
step = "{{step}}"
tokens_per_step = 1
files = ["*.json", "*.safetensors", "padding.bin"]
temp = true
resources = {{ network = 1, disk = {disk} }}

[stages.compute]
kind = "command"
over = ["step"]
inputs = {{ checkpoint = "checkpoint" }}
shell = "sleep {seconds:.3f}; cat {{inputs.checkpoint}}/vgh.json > {{outputs.out}}"
outputs = {{ out = "out.json" }}
pass_env = ["PATH"]
resources = {{ disk = {disk} }}
"""


def below(folder):
    """Bytes of all files below a folder, each once however many names it has."""
    sizes = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue
            sizes[found.st_ino] = found.st_size
    return sum(sizes.values())


def measure(args, hub, space, download, compute, ahead, more):
    steps = list(range(1, args.checkpoints + 1))
    total = sum(len(data) for files in hub.files.values() for data in files.values())
    hub.line = Line(total / download)
    # What the kind writes beside the files, and records and logs of the run.
    disk = total // args.checkpoints + (256 << 10)
    budget = disk * (ahead + 1)
    shutil.rmtree(space, ignore_errors=True)
    space.mkdir()
    (space / "p.toml").write_text(text(steps, disk, compute / args.checkpoints))
    environment = dict(os.environ, HF_ENDPOINT=hub.address, HF_HOME=str(space / "hf"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "VGH_CACHE"):
        environment.pop(name, None)
    vgh = [str(args.vgh.resolve())]
    options = dict(cwd=space, env=environment, check=True)
    subprocess.run(vgh + ["update", "p.toml"], stdout=subprocess.DEVNULL, **options)
    command = vgh + ["run", "p.toml", "-j", "1", "--disk", str(budget), "--progress", "none"]
    begun = time.monotonic()
    run = subprocess.Popen(command + more, cwd=space, env=environment, stdout=subprocess.DEVNULL)
    peak = 0
    while run.poll() is None:
        peak = max(peak, below(space / "cache"))
        time.sleep(0.01)
    wall = time.monotonic() - begun
    if run.returncode:
        sys.exit(f"vgh run ended with {run.returncode}")
    return wall, peak / budget


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vgh", type=Path, default=Path("target/release/vgh"))
    parser.add_argument("--checkpoints", type=int, default=6)
    parser.add_argument("--size", type=int, default=16_000_000, help="bytes of each checkpoint")
    parser.add_argument("--seconds", type=float, default=24.0, help="the longer of the two")
    parser.add_argument("--ahead", type=int, default=2, help="checkpoints that the disk holds")
    parser.add_argument("--most", type=float, default=1.15)
    args = parser.parse_args()
    hub = Hub(list(range(1, args.checkpoints + 1)), args.size)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    long, short = args.seconds, args.seconds / 2
    cases = [
        ("computing takes longer", short, long, args.ahead, []),
        ("downloading takes longer", long, short, args.ahead, []),
        ("the same, 4 at once", long, short, args.ahead, ["--network", "4"]),
        ("both alike", long, long, args.ahead, []),
        ("room for one", short, long, 1, []),
    ]
    print(f"{'case':26} {'download':>9} {'compute':>9} {'run':>9} {'ratio':>6} {'floor':>6} {'peak':>6}")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name, download, compute, ahead, more in cases:
            wall, peak = measure(args, hub, Path(folder) / "space", download, compute, ahead, more)
            longer = max(download, compute)
            floor = (longer + min(download, compute) / args.checkpoints) / longer
            ratio = wall / longer
            print(
                f"{name:26} {download:7.1f} s {compute:7.1f} s {wall:7.2f} s {ratio:6.3f} "
                f"{floor:6.3f} {peak:6.1%}",
                flush=True,
            )
            held_to_it = not more and ahead > 1 and floor <= args.most
            good &= peak <= 1 and (ratio <= args.most or not held_to_it)
    sys.exit(not good)


if __name__ == "__main__":
    main()
