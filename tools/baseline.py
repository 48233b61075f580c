"""Checks that a library runs on baseline x86-64: ``objdump -d --no-show-raw-insn LIBRARY | python tools/baseline.py``.

Instructions with a VEX or EVEX prefix (AVX, AVX2, FMA, AVX-512) may stand only in clones that are chosen at run time, whose names
end in ``arch_x86_64_v3`` or ``arch_x86_64_v4``. With ``--no-dispatch`` there may be no such clones.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\s+(\S+)\s*(.*)$")
#: Mnemonics of baseline x86-64 that begin with v; those of vectors are prefixed with v beyond the baseline.
_OLD = {"verr", "verw"}
#: Beyond the baseline (SSE2) without a v, up to x86-64-v3.
_NEWER = re.compile(
    r"^(pshufb|phadd|phsub|pabs[bwd]|pmaddubsw|pmulhrsw|psign|palignr|pblend|blendv?p|round[ps][sd]|ptest|pmovsx|pmovzx|"
    r"pmulld|pmin[su][bdw]$|pcmpeqq|pcmpgtq|pextr[bdq]|pinsr[bdq]|extractps|insertps|dpp[sd]|mpsadbw|crc32|popcnt|"
    r"addsubp|haddp|hsubp|movddup|movsldup|movshdup|lddqu|andn$|bextr|bls[ir]|blsmsk|bzhi|pdep|pext|mulx|rorx|sarx|shlx|shrx|"
    r"movbe|lzcnt)"
)
_MINIMUM_OF_SSE2 = {"pminub", "pminsw"}


def is_newer(mnemonic: str, operands: str) -> bool:
    """Whether an instruction needs more than baseline x86-64."""
    if re.search(r"%[yz]mm|%k[0-7]", operands) or (mnemonic.startswith("v") and mnemonic not in _OLD):
        return True
    return mnemonic not in _MINIMUM_OF_SSE2 and _NEWER.match(mnemonic) is not None


def violations(lines: Iterable[str], *, dispatch: bool) -> tuple[list[str], int, int]:
    """Newer instructions in functions that are not clones, the number of clones with such instructions, and of functions."""
    function, clones, functions, found = "", set(), 0, []
    for line in lines:
        if name := _FUNCTION.match(line):
            function, functions = name.group(1), functions + 1
        elif (instruction := _INSTRUCTION.match(line)) and is_newer(*instruction.groups()):
            if re.search(r"arch_x86_64_v[34]", function) and dispatch:
                clones.add(function)
            else:
                found.append(f"{function}: {' '.join(instruction.groups())}")
    return found, len(clones), functions


def main() -> int:
    """0 if the library runs on every x86-64."""
    dispatch = "--no-dispatch" not in sys.argv[1:]
    found, clones, functions = violations(sys.stdin, dispatch=dispatch)
    for each in found[:20]:
        print(each)
    print(
        f"{functions} functions, {clones} clones for newer machines, {len(found)} instructions beyond baseline x86-64"
    )
    return 1 if found or not functions or (dispatch and not clones) else 0


if __name__ == "__main__":
    sys.exit(main())
