"""Logits of a checkpoint folder by transformers, for comparison with vgh's.

usage: transformers_logits.py FOLDER TEXT; prints {"ids": [...], "logits": [[...]]}
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
model.eval()
ids = tokenizer(text, add_special_tokens=False)["input_ids"]
with torch.no_grad():
    logits = model(torch.tensor([ids])).logits[0]
print(json.dumps({"ids": ids, "logits": logits.tolist()}))
