#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the batches of crypto/ take on processors that are not at hand, by simulation: bench_model writes down the
instructions of a call as they run, llvm-mca lets them through its model of the processor. Caches, waiting for memory and
wrong guesses of branches are not in it.

    bench/run.sh model [--mca PROGRAM] [--cpu NAME] [--parts] [BENCH ...]
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys

# bench, variant, jobs traced, bytes, cycles that the library takes on Zen 4, goal
ROWS = [
    ("ccm_seal", "vaes", 64, 100, 1968, 25),
    ("ccm_open", "vaes", 64, 100, 1957, 25),
    ("oscore_rekey", "vaes", 64, 100, 1877, 18),
    ("hkdf_context", "avx512", 64, 0, 12700, 16),
    ("ed25519_verify", "ifma", 8, 100, 184000, 8.5),
    ("ed25519_sign", "ifma", 8, 100, 63000, 13),
    ("ed25519_keygen", "ifma", 8, 0, 58000, 14),
    ("x25519", "ifma", 8, 0, 111000, 5.5),
]
# what can be measured here, too: how far the model is to be trusted
KNOWN = [
    ("ccm_seal", "aesni", 64, 100),
    ("ccm_open", "aesni", 64, 100),
    ("oscore_rekey", "aesni", 64, 100),
    ("hkdf_context", "avx512", 64, 0),
    ("x25519", "avx512", 8, 0),
]


REP = 32  # bytes a cycle that "rep movsb" and "rep stosb" are said to do, after so many cycles:
REP_START = 35


def trace(build, bench, variant, n, size):
    """paths of objects; instructions as (object, address)"""
    out = subprocess.run([os.path.join(build, "bench_model"), bench, variant, str(n), str(size)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    paths, steps = {}, []
    for line in out.splitlines():
        if line.startswith("object "):
            _, number, path = line.split(" ", 2)
            paths[number] = path
        else:
            number, address = line.split(" ")
            steps.append((number, int(address, 16)))
    return paths, steps


def without_rep(found):
    """the instructions but those that repeat themselves, each round of which is a step; cycles that they are said to take"""
    kept, cycles, before = [], 0.0, None
    for text, function in found:
        if text.startswith("rep "):
            width = next(n for name, n in (("%al", 1), ("sb", 1), ("%rax", 8), ("sq", 8), ("", 4)) if name in text)
            cycles += width / REP + (REP_START if text != before else 0)
        else:
            kept.append((text, function))
        before = text
    return kept, cycles


def disassemble(path):
    """text and function of each instruction, by address"""
    out = subprocess.run(["objdump", "-d", "-w", "--no-show-raw-insn", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    code, function = {}, "?"
    for line in out.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        if head:
            function = head.group(1)
            continue
        address, tab, text = line.partition(":\t")
        if tab:
            code[int(address, 16)] = (text, function)
    return code


def for_assembler(text):
    """as llvm-mca reads it"""
    text = re.sub(r"\s*#.*$|\s*<[^>]*>", "", text).strip()
    text = re.sub(r"^(bnd|notrack|data16|cs|ds|repz(?= ret))\s+", "", text)
    if re.match(r"^(data16 |cs )*nop|^xchg\s+%ax,%ax", text):
        return "nop"
    return re.sub(r"^(j\w+|call)(\s+)([0-9a-f]+)$", r"\1 0x\3", text)


def simulate(mca, cpu, lines):
    """cycles and micro-operations"""
    out = subprocess.run([mca, "-mtriple=x86_64", "-mcpu=" + cpu, "-iterations=1", "-all-views=0", "-summary-view"],
                         input="\n".join(lines) + "\n", check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout
    found = dict(re.findall(r"^(Total Cycles|Total uOps):\s+(\d+)", out, re.M))
    return int(found["Total Cycles"]), int(found["Total uOps"])


def aes(lines):
    """blocks that go through a round"""
    return sum({"z": 4, "y": 2}.get(line.rsplit("%", 1)[-1][0], 1) for line in lines if re.match(r"^v?aesenc", line))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--mca", default=next(filter(shutil.which, ["llvm-mca-14", "llvm-mca-16", "llvm-mca-19", "llvm-mca"]), None))
    args.add_argument("--cpu", default="icelake-server")
    args.add_argument("--known", metavar="CPU", help="what can be measured here, in the model of this processor")
    args.add_argument("--parts", action="store_true", help="instructions of each function")
    args.add_argument("bench", nargs="*")
    args = args.parse_args()
    if not args.mca:
        sys.exit("llvm-mca is missing: apt-get install llvm-14")
    build = os.environ.get("GM_BUILD", "build/bench")
    rows = [row + (None, None) for row in KNOWN] if args.known else ROWS
    cpu = args.known or args.cpu
    code = {}
    print("%-16s %-10s %4s %6s %13s %9s %10s %8s %6s" % ("primitive", "variant", "n", "bytes", "instructions", "micro-ops", "AES floor",
                                                       "cycles", "ratio"), file=sys.stderr)
    for bench, variant, n, size, library, goal in rows:
        if args.bench and bench not in args.bench:
            continue
        paths, steps = trace(build, bench, variant, n, size)
        for number in {step[0] for step in steps} - code.keys():
            code[number] = disassemble(paths[number])
        found = [code[number][address] for number, address in steps if address in code[number]]
        found, repeated = without_rep(found)
        lines = [for_assembler(text) for text, _ in found]
        cycles, uops = simulate(args.mca, cpu, lines)
        cycles += round(repeated)
        row = {"bench": bench, "variant": variant, "n": n, "size": size, "cpu": cpu, "instructions": round(len(lines) / n, 1),
               "uops": round(uops / n, 1), "aes_floor": round(aes(lines) / 4 / n, 1), "cycles": round(cycles / n, 1)}
        if library:
            row |= {"ratio": round(library * n / cycles, 2), "goal": goal}
        print(json.dumps(row))
        print("%-16s %-10s %4u %6u %13.0f %9.0f %10.1f %8.1f %6s" % (bench, variant, n, size, len(lines) / n, uops / n, row["aes_floor"],
                                                                  cycles / n, row.get("ratio", "")), file=sys.stderr)
        if args.parts:
            for function, count in collections.Counter(name for _, name in found).most_common(12):
                print("    %8.1f %s" % (count / n, function), file=sys.stderr)


if __name__ == "__main__":
    main()
