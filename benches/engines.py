#!/usr/bin/env python3
"""Side by side: vgh, ninja, make, DVC and Snakemake on the same work.

Two shapes of N commands, each `cp` of a small file:
  flat   N stages, each on an input of its own
  chain  10 stages along an axis of N/10 values, each on the one before
and four situations: cold (nothing was run), noop (nothing changed), edit (one
input changed: 1 command of `flat`, 10 of `chain`), back (the edit undone).

    python3 benches/engines.py --vgh target/release/vgh -n 1000 5000

Prints wall and CPU seconds (user + system, children included) and the peak
memory of the largest process, the best of `--repeat` runs; each edit writes
another text. `own` is the CPU time beyond that of the commands themselves, which
are run by a bare spawn loop for comparison: per command of a cold run, for an
edit in all. No-ops, edits and the commands of one edit by themselves are run by
turns, since machines are faster at one time than at another, and in each turn
twice, since the second finds warm caches. A tool that is not
on the PATH is left out, and so is a cold run that would take more than
`--patience` seconds.

Before and after each cold run it waits for `--settle` seconds: ext4 without a
journal passes over every inode that was freed in the last minute whenever a file
is made, so whoever runs after somebody who removed thousands of files, as a cold
run does, pays for it (a new file takes 0.11 ms instead of 0.02).
"""

import argparse
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHAIN = 10
# Seconds after which no tool doubts the time of a file any more.
FRESH = 2.1
SHAPES = ("flat", "chain")


def pairs(shape, n):
    """(name, source, target) of every command, producers first."""
    if shape == "flat":
        for i in range(n):
            yield f"s{i}", f"in/{i}", f"out/{i}"
    else:
        for k in range(CHAIN):
            for i in range(n // CHAIN):
                source = f"in/{i}" if k == 0 else f"out/s{k - 1}/{i}"
                yield f"s{k}_{i}", source, f"out/s{k}/{i}"


def write_inputs(space, shape, n):
    (space / "in").mkdir()
    for i in range(n if shape == "flat" else n // CHAIN):
        (space / "in" / str(i)).write_text(f"input {i}\n")
    for folder in ["out"] if shape == "flat" else [f"out/s{k}" for k in range(CHAIN)]:
        (space / folder).mkdir(parents=True, exist_ok=True)


def vgh_text(shape, n):
    yield '[pipeline]\nformat = 1\nname = "bench"\n'
    argv = 'argv = ["cp", "{files.x}", "{outputs.y}"]\nfiles = { x = "in/%s" }\n'
    rest = 'pass_env = ["PATH"]\noutputs = { y = "y" }\n'
    if shape == "flat":
        for i in range(n):
            yield f'[stages.s{i}]\nkind = "command"\n{argv % i}{rest}'
        return
    yield f"[axes]\ni = {{ from = 0, to = {n // CHAIN - 1}, by = 1 }}\n"
    for k in range(CHAIN):
        # Without it stages are the same command on the same bytes, and one run serves all.
        yield f'[stages.s{k}]\nkind = "command"\nover = ["i"]\nenv = {{ K = "{k}" }}\n'
        if k == 0:
            yield f"{argv % '{i}'}{rest}"
        else:
            yield 'argv = ["cp", "{inputs.x}", "{outputs.y}"]\n'
            yield f'inputs = {{ x = "s{k - 1}" }}\n{rest}'


class Tool:
    def __init__(self, name, program, args, write):
        self.name, self.program, self.args, self.write = name, program, args, write

    def command(self, jobs):
        return [self.program] + [arg.format(jobs=jobs) for arg in self.args]


def write_vgh(space, shape, n):
    (space / "bench.toml").write_text("".join(vgh_text(shape, n)))


def write_ninja(space, shape, n):
    lines = ["rule cp\n  command = cp $in $out\n"]
    lines += [f"build {target}: cp {source}\n" for _, source, target in pairs(shape, n)]
    (space / "build.ninja").write_text("".join(lines))


def write_make(space, shape, n):
    targets = [target for _, _, target in pairs(shape, n)]
    lines = ["all: " + " ".join(targets) + "\n"]
    lines += [f"{target}: {source}\n\tcp $< $@\n" for _, source, target in pairs(shape, n)]
    (space / "Makefile").write_text("".join(lines))


def write_dvc(space, shape, n):
    lines = ["stages:\n"]
    for name, source, target in pairs(shape, n):
        lines.append(
            f"  {name}:\n    cmd: cp {source} {target}\n"
            f"    deps: [{source}]\n    outs: [{target}]\n"
        )
    (space / "dvc.yaml").write_text("".join(lines))
    subprocess.run(["dvc", "init", "--no-scm", "-q"], cwd=space, check=True)


def write_snakemake(space, shape, n):
    targets = [target for _, _, target in pairs(shape, n)]
    lines = [f"rule all:\n    input: {targets!r}\n"]
    if shape == "flat":
        lines.append('rule cp:\n    input: "in/{i}"\n    output: "out/{i}"\n    shell: "cp {input} {output}"\n')
    else:
        for k in range(CHAIN):
            source = "in/{i}" if k == 0 else f"out/s{k - 1}/{{i}}"
            lines.append(
                f'rule s{k}:\n    input: "{source}"\n    output: "out/s{k}/{{i}}"\n'
                '    shell: "cp {input} {output}"\n'
            )
    (space / "Snakefile").write_text("".join(lines))


def tools(vgh):
    return [
        Tool("vgh", str(Path(vgh).resolve()), ["run", "bench.toml", "-j", "{jobs}", "--json"], write_vgh),
        Tool("ninja", "ninja", ["-j", "{jobs}"], write_ninja),
        Tool("make", "make", ["-s", "-j", "{jobs}"], write_make),
        Tool("DVC", "dvc", ["repro", "-q"], write_dvc),
        Tool("Snakemake", "snakemake", ["-c{jobs}", "--quiet", "all"], write_snakemake),
    ]


def measure(command, space, patience):
    """(wall, CPU, peak MiB), or None if it ran out of patience."""
    with open(space / ".log", "ab") as log:
        begun = time.monotonic()
        child = subprocess.Popen(command, cwd=space, stdout=log, stderr=log, start_new_session=True)
        # Not by looking again and again: that takes the caches of what is measured.
        end = select.poll()
        handle = os.pidfd_open(child.pid)
        end.register(handle, select.POLLIN)
        in_time = end.poll(patience * 1000)
        os.close(handle)
        if not in_time:
            os.killpg(child.pid, 9)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
        if not in_time:
            return None
    if status != 0:
        sys.exit(f"{command[0]} failed; see the log:\n{(space / '.log').read_text()[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def best(figures):
    return None if None in figures else min(figures, key=lambda figure: figure[1])


def commands_alone(space, shape, n, folder):
    """CPU seconds of the N commands by themselves, on the inputs of the first."""
    (space / folder).mkdir()
    total = 0.0
    for name, source, _ in pairs(shape, n):
        source = source if source.startswith("in/") else "in/0"
        pid = os.posix_spawnp("cp", ["cp", str(space / source), str(space / folder / name)], os.environ)
        usage = os.wait4(pid, 0)[2]
        total += usage.ru_utime + usage.ru_stime
    return total


def edit(space, text):
    time.sleep(0.02)
    (space / "in" / "1").write_text(text)


def check(space, tool, shape, text):
    """The edit must have reached the last result."""
    if tool.name != "vgh":
        last = "out/1" if shape == "flat" else f"out/s{CHAIN - 1}/1"
        found = (space / last).read_text()
        if found != text:
            sys.exit(f"{tool.name}: {last} says {found!r} where {text!r} was expected")


def edited(tool, space, shape, text, options):
    edit(space, text)
    figure = measure(tool.command(options.jobs), space, options.patience)
    check(space, tool, shape, text)
    return figure


def situations(tool, space, shape, n, options):
    """Name, figure, and what its commands take by themselves, where it has any."""
    command = tool.command(options.jobs)
    time.sleep(options.settle)
    alone = commands_alone(space, shape, n, ".alone")
    cold = measure(command, space, options.patience)
    yield "cold", cold, alone
    if cold is None:
        return
    time.sleep(options.settle)
    reached = CHAIN if shape == "chain" else 1
    noops, edits, alones = [], [], []
    for turn in range(options.repeat):
        time.sleep(FRESH)
        measure(command, space, options.patience)
        noops.append(measure(command, space, options.patience))
        # A chain of ten is ten commands.
        for again in range(2):
            alones.append(commands_alone(space, shape, reached, f".alone{turn}.{again}"))
        for again in range(2):
            edits.append(edited(tool, space, shape, f"changed {turn}.{again}\n", options))
    yield "noop", best(noops), None
    yield "edit", best(edits), min(alones)
    yield "back", edited(tool, space, shape, "input 1\n", options), None


def row(tool, situation, n, figure, alone):
    """`alone`: CPU seconds of the commands by themselves."""
    if figure is None:
        return f"{tool:10} {situation:5} {'out of patience':>24}"
    wall, cpu, peak = figure
    own = " " * 12
    if situation == "cold":
        own = f"{(cpu - alone) / n * 1000:9.3f} ms"
    elif situation == "edit":
        own = f"{cpu - alone:9.3f} s"
    return f"{tool:10} {situation:5} {wall:9.3f} {cpu:9.3f} {peak:9.1f} {own}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vgh", default="target/release/vgh")
    parser.add_argument("-n", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=SHAPES)
    parser.add_argument("--tool", nargs="+", help="only these")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--patience", type=float, default=300)
    parser.add_argument("--settle", type=float, default=65)
    options = parser.parse_args()
    for n in options.n:
        for shape in options.shape:
            print(f"\n{shape}, {n} stages, -j {options.jobs}")
            print(f"{'tool':10} {'':5} {'wall s':>9} {'CPU s':>9} {'peak MiB':>9} {'own':>9}")
            for tool in tools(options.vgh):
                if options.tool and tool.name not in options.tool:
                    continue
                if not shutil.which(tool.program):
                    print(f"{tool.name:10} not on the PATH")
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    space = Path(folder)
                    write_inputs(space, shape, n)
                    tool.write(space, shape, n)
                    for situation, figure, alone in situations(tool, space, shape, n, options):
                        print(row(tool.name, situation, n, figure, alone), flush=True)


if __name__ == "__main__":
    main()
