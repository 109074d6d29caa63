#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns a JSON of llama.cpp's greedy runs into the lines that model_check and the unit tests read.

usage: greedy_goldens.py RUNS.json > tests/goldens/NAME.greedy.txt
"""
import json
import sys

runs = json.load(open(sys.argv[1], encoding="utf-8"))
print(f"# {runs['model']} by {runs['engine']}")
for run in runs["results"]:
    gaps = run["top1_minus_top2"]
    print("name", run["name"])
    print("prompt", *run["prompt_ids"])
    print("greedy", *run["greedy_ids"])
    print("gap_milli", *(round(g * 1000) for g in gaps))
