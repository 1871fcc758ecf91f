#!/usr/bin/env python3
"""A model of the true shape of OLMo-2 1B on the CPU: memory and times.

Writes random weights in f32, in two shards with an index as the hub holds
them (5.9 GB, once), and runs a pipeline over them: take the folder, costates,
headroom, GRPO for two updates with `moments = "bf16"`. One stage after another,
each in a process of its own.

    python3 benches/scale.py --vgh target/release/vgh --space /tmp/scale

Prints seconds and peak memory of every stage, the memory as vgh recorded it, and
the peak of the largest process as the system saw it. Needs numpy, 24 GiB of memory
and 20 GB of disk in `--space`.
"""

import argparse
import json
import resource
import shutil
import struct
import subprocess
import time
from datetime import datetime
from pathlib import Path

import numpy

REPOSITORY = Path(__file__).resolve().parent.parent
D, LAYERS, M, V = 2048, 16, 8192, 100352
CONFIG = {
    "architectures": ["Olmo2ForCausalLM"],
    "model_type": "olmo2",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "eos_token_id": 260,
    "pad_token_id": 261,
    "hidden_act": "silu",
    "hidden_size": D,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "intermediate_size": M,
    "vocab_size": V,
    "rms_norm_eps": 1e-06,
    "rope_theta": 500000,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "max_position_embeddings": 4096,
    "torch_dtype": "float32",
}
PIPELINE = """
[pipeline]
format = 1
name = "scale"

[stages.model]
kind = "local-checkpoint"
path = "model"
step = 1
tokens = 1

[stages.prompts]
kind = "jsonl-prompts"
path = "prompts.jsonl"

[stages.costates]
kind = "costates"
inputs = { checkpoint = "model", prompts = "prompts" }

[stages.headroom]
kind = "headroom"
inputs = { checkpoint = "model", prompts = "prompts" }
alpha = 1.0

[stages.grpo]
kind = "grpo"
inputs = { checkpoint = "model", prompts = "prompts" }
updates = 2
learning_rate = 1e-6
moments = "bf16"
snapshots = "none"
"""


def block(layer):
    """(name, shape) of one block's parameters."""
    for name, shape in {
        "self_attn.q_proj": (D, D),
        "self_attn.k_proj": (D, D),
        "self_attn.v_proj": (D, D),
        "self_attn.o_proj": (D, D),
        "self_attn.q_norm": (D,),
        "self_attn.k_norm": (D,),
        "post_attention_layernorm": (D,),
        "mlp.gate_proj": (M, D),
        "mlp.up_proj": (M, D),
        "mlp.down_proj": (D, M),
        "post_feedforward_layernorm": (D,),
    }.items():
        yield f"model.layers.{layer}.{name}.weight", shape


def write_shard(path, tensors, draw):
    header, offset = {}, 0
    for name, shape in tensors:
        end = offset + 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors:
            if len(shape) == 1:
                values = numpy.ones(shape, dtype="<f4")
            else:
                values = draw.standard_normal(shape, dtype=numpy.float32)
                values *= numpy.float32(0.02)
            values.tofile(file)
    return offset


def write_model(folder):
    folder.mkdir(parents=True)
    first = [("model.embed_tokens.weight", (V, D))]
    for layer in range(LAYERS - 4):
        first += block(layer)
    second = [("lm_head.weight", (V, D)), ("model.norm.weight", (D,))]
    for layer in range(LAYERS - 4, LAYERS):
        second += block(layer)
    weights, total = {}, 0
    draw = numpy.random.default_rng(0)
    for place, tensors in enumerate([first, second], start=1):
        file = f"model-{place:05}-of-00002.safetensors"
        total += write_shard(folder / file, tensors, draw)
        weights.update({name: file for name, _ in tensors})
    index = {"metadata": {"total_size": total}, "weight_map": weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    fixtures = REPOSITORY / "tests/fixtures/open"
    shutil.copy(fixtures / "tokenizer.json", folder / "tokenizer.json")
    return total


def write_prompts(path, count):
    """A quarter of them is for evaluation."""
    with open(path, "w") as file:
        for number in range(count):
            label = "ABCD"[number % 4]
            text = f"Item {number}: the label is {label}.\nAnswer:"
            split = "eval" if number // 4 % 4 == 0 else "train"
            file.write(json.dumps({"text": text, "label": f" {label}", "split": split}) + "\n")


def run(args, stage, count):
    """Seconds of one stage on `count` prompts, peak bytes of its process, its events."""
    write_prompts(args.space / "prompts.jsonl", count)
    command = [args.vgh.resolve(), "run", "scale.toml", stage, "-j", "1", "--cache", "cache"]
    command += ["--progress", "none", "--events", "events.jsonl"]
    subprocess.run(command, cwd=args.space, check=True)
    lines = (args.space / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    made = [e for e in events if e["event"] == "finished" and e["stage"] == stage]
    seconds = made[0]["duration_ms"] / 1000
    records = [json.loads(path.read_text()) for path in args.space.glob("cache/records/*/*.json")]
    provenances = [record["body"]["provenance"] for record in records]
    newest = max((p for p in provenances if p["instance"] == stage), key=lambda p: p["started"])
    return seconds, newest["peak_rss_bytes"], events


def show(name, seconds, peak=None):
    memory = f"{peak / 2**30:8.2f} GiB" if peak else ""
    print(f"{name:52} {seconds:8.1f} s {memory}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vgh", default=REPOSITORY / "target/release/vgh", type=Path)
    parser.add_argument("--space", required=True, type=Path)
    args = parser.parse_args()
    model = args.space / "model"
    if not model.exists():
        started = time.monotonic()
        total = write_model(model)
        print(f"wrote {total / 1e9:.2f} GB in {time.monotonic() - started:.0f} s")
    (args.space / "scale.toml").write_text(PIPELINE)
    shutil.rmtree(args.space / "cache", ignore_errors=True)
    few, many = 32, 160
    show("take the checkpoint into the cache", *run(args, "model", few)[:2])
    headroom, peak, _ = run(args, "headroom", few)
    longer, _, _ = run(args, "headroom", many)
    each = (longer - headroom) / ((many - few) / 4)
    show("headroom on 8 prompts", headroom, peak)
    show("  of that loading (what is left at 0 prompts)", headroom - 8 * each)
    show("  and forward, a prompt of some 20 tokens", each)
    show("costates on 32 prompts", *run(args, "costates", few)[:2])
    grpo, peak, events = run(args, "grpo", few)
    show("grpo, 2 updates of 24 prompts x 8 actions", grpo, peak)
    at = [datetime.fromisoformat(e["at"]) for e in events if e["event"] == "progress"]
    show("  of that the second update", (at[-1] - at[0]).total_seconds())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"largest process, as the system saw it: {peak / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
