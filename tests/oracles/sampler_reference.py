#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Second implementation of ai/text/sampler.h, in double precision and written for reading.

Writes tests/goldens/sampler.txt: cases with the token ids that must come out. Needs only Python.
"""
import math
import pathlib
import random

MASK = (1 << 64) - 1
VOCABULARY, STEPS = 200, 40
FIELDS = ("temperature top_k top_p min_p typical repeat presence frequency last_n dry_multiplier "
          "dry_base dry_allowed xtc_probability xtc_threshold mirostat tau eta seed").split()
DEFAULTS = dict(temperature=800, top_k=40, top_p=950, min_p=50, typical=1000, repeat=1000, presence=0,
                frequency=0, last_n=64, dry_multiplier=0, dry_base=1750, dry_allowed=2,
                xtc_probability=0, xtc_threshold=100, mirostat=0, tau=5000, eta=100, seed=1)


def mix(z):
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9 & MASK
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb & MASK
    return z ^ (z >> 31)


class Random:
    """xoshiro256** seeded by splitmix64."""

    def __init__(self, seed):
        self.s = [mix((seed + (i + 1) * 0x9e3779b97f4a7c15) & MASK) for i in range(4)]

    def uniform(self):
        def rotate(x, k):
            return (x << k | x >> (64 - k)) & MASK
        s = self.s
        result = rotate(s[1] * 5 & MASK, 7) * 9 & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t
        s[3] = rotate(s[3], 45)
        return (result >> 11) / (1 << 53)


def logits_of(case, step):
    """Numbers that float holds exactly, far enough apart that every filter has work."""
    values = [(mix(case * 1000003 + step * 10007 + i) >> 40) / (1 << 24) for i in range(VOCABULARY)]
    return [(v - 0.5) * 16 for v in values]


def probabilities(candidates):
    best = max(l for l, _ in candidates)
    weights = [math.exp(l - best) for l, _ in candidates]
    total = sum(weights)
    return [w / total for w in weights]


def penalize(p, logits, history):
    recent = history[-p["last_n"]:] if p["last_n"] else []
    for token in set(recent):
        l = logits[token]
        l = l * p["repeat"] / 1000 if l <= 0 else l / (p["repeat"] / 1000)
        logits[token] = l - recent.count(token) * p["frequency"] / 1000 - p["presence"] / 1000


def dry(p, logits, history, breakers):
    n, longest = len(history), {}
    limit = 0
    while limit < n and history[n - 1 - limit] not in breakers:
        limit += 1
    for end in range(1, n):  # an earlier occurrence would end at history[end - 1]
        run = 0
        while run < min(end, limit) and history[end - 1 - run] == history[n - 1 - run]:
            run += 1
        longest[history[end]] = max(longest.get(history[end], 0), run)
    for token, run in longest.items():
        if run >= max(1, p["dry_allowed"]) and limit >= p["dry_allowed"]:
            logits[token] -= p["dry_multiplier"] / 1000 * (p["dry_base"] / 1000) ** (run - p["dry_allowed"])


def draw(candidates, rng):
    target, reached = rng.uniform(), 0
    for (_, token), q in zip(candidates, probabilities(candidates)):
        reached += q
        if target < reached:
            return token
    return candidates[-1][1]


def pick(p, state, logits, history, breakers):
    penalize(p, logits, history)
    if p["dry_multiplier"]:
        dry(p, logits, history, breakers)
    c = sorted(((l, i) for i, l in enumerate(logits)), key=lambda x: (-x[0], x[1]))
    if p["temperature"] == 0:
        return c[0][1]
    if p["mirostat"]:
        c = [(l / (p["temperature"] / 1000), i) for l, i in c]
        q = probabilities(c)
        c = [x for x, y in zip(c, q) if -math.log2(y) <= state["mu"]] or c[:1]
        token = draw(c, state["rng"])
        surprise = -math.log2(probabilities(c)[[i for _, i in c].index(token)])
        state["mu"] -= p["eta"] / 1000 * (surprise - p["tau"] / 1000)
        return token
    if p["top_k"]:
        c = c[:p["top_k"]]
    if p["typical"] < 1000:
        q = probabilities(c)
        entropy = -sum(y * math.log(y) for y in q)
        order = sorted(range(len(c)), key=lambda i: (abs(-math.log(q[i]) - entropy), i))
        kept, reached = [], 0
        for i in order:
            kept.append(i)
            reached += q[i]
            if reached > p["typical"] / 1000:
                break
        c = [c[i] for i in sorted(kept)]
    if p["top_p"] < 1000:
        reached = 0
        for n, y in enumerate(probabilities(c)):
            reached += y
            if reached >= p["top_p"] / 1000:
                c = c[:n + 1]
                break
    if p["min_p"]:
        q = probabilities(c)
        c = [x for x, y in zip(c, q) if y >= p["min_p"] / 1000 * q[0]]
    if p["xtc_probability"] and p["xtc_threshold"] <= 500:
        if state["rng"].uniform() < p["xtc_probability"] / 1000:
            above = sum(y >= p["xtc_threshold"] / 1000 for y in probabilities(c))
            c = c[max(above - 1, 0):]
    return draw([(l / (p["temperature"] / 1000), i) for l, i in c], state["rng"])


def cases():
    one = [dict(temperature=0), dict(), dict(top_k=0, top_p=1000, min_p=0), dict(top_k=0),
           dict(top_k=5), dict(top_k=1), dict(top_k=0, min_p=0, top_p=900), dict(top_p=500),
           dict(top_k=0, top_p=1000, min_p=200), dict(typical=500), dict(typical=200, top_k=0),
           dict(temperature=0, repeat=1300), dict(repeat=1100, presence=500, frequency=300),
           dict(repeat=900, presence=-500), dict(last_n=5, frequency=2000), dict(last_n=0, repeat=2000),
           dict(dry_multiplier=800), dict(dry_multiplier=800, dry_allowed=1, temperature=0),
           dict(dry_multiplier=5000, dry_base=1000, dry_allowed=3), dict(xtc_probability=1000),
           dict(xtc_probability=500, xtc_threshold=50, min_p=20), dict(xtc_probability=500, xtc_threshold=600),
           dict(mirostat=2), dict(mirostat=2, tau=2000, eta=300, temperature=1500),
           dict(temperature=2000, top_k=0), dict(temperature=100)]
    yield from one
    rng = random.Random(7)
    for _ in range(120):
        yield dict(temperature=rng.choice([0, 300, 700, 1000, 1700]), top_k=rng.choice([0, 1, 7, 40, 150]),
                   top_p=rng.choice([1000, 950, 600]), min_p=rng.choice([0, 20, 100]),
                   typical=rng.choice([1000, 1000, 700]), repeat=rng.choice([1000, 1100, 1500]),
                   presence=rng.choice([0, 400]), frequency=rng.choice([0, 250]),
                   last_n=rng.choice([0, 8, 64, 1000]), dry_multiplier=rng.choice([0, 700, 3000]),
                   dry_allowed=rng.choice([1, 2, 4]), xtc_probability=rng.choice([0, 0, 600]),
                   xtc_threshold=rng.choice([30, 100, 200]), mirostat=rng.choice([0, 0, 0, 2]),
                   seed=rng.getrandbits(64))


def main():
    lines = [f"# made by tests/oracles/sampler_reference.py: {' '.join(FIELDS)} : ids"]
    for number, changes in enumerate(cases()):
        p = DEFAULTS | changes
        state = dict(rng=Random(p["seed"]), mu=2 * p["tau"] / 1000)
        history, breakers = [3, 4, 5, 6, 9, 3, 4, 5, 7, 3, 4], {6}
        for step in range(STEPS):
            logits = logits_of(number, step)
            for i in range(10):  # a likely continuation of what was there before
                logits[i] += 4
            history.append(pick(p, state, logits, history, breakers))
        lines.append(" ".join(str(p[f]) for f in FIELDS) + " : " + " ".join(map(str, history[11:])))
    path = pathlib.Path(__file__).parent.parent / "goldens" / "sampler.txt"
    path.write_text("\n".join(lines) + "\n")


main()
