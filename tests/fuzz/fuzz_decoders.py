"""The coverage-guided fuzzer for both decoders: ``scripts/fuzz neko --seconds 60``.

It needs the extra ``fuzz``. Inputs that reach new code are kept in ``.fuzz/``, and those that break
a promise in ``tests/fuzz/found/``, where `test_corpus` replays them ever after.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["voicecore"]):
    from tests.fuzz import decoders

HERE = Path(__file__).parent
ODD_VALUES: list[object] = [
    None, True, False, 0, -1, 1.5, 32_768, -32_769, 16_000, 48_000, 10**400, float("nan"),
    "", "AAA=", "AAAA", "A", "data:image/png;base64,AAAA", "data:", "\ud800", "\x00", "x" * 257,
    [], [0, 1, -1], [0] * 480, [1.5], [True], [[]], {}, {"data": "AAAA"}, [{}],
]  # fmt: skip


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change one value of one message half of the time, and any bytes the other half.

    Python reads JSON in C, where the fuzzer sees nothing: left alone, it hardly ever finds another
    valid message.
    """
    choose = random.Random(seed)
    lines = data.split(b"\n")
    at = choose.randrange(len(lines))
    changed = None if choose.random() < 0.5 else _with_odd_value(lines[at], choose)
    if changed is None:
        return bytes(atheris.Mutate(data, max_size))
    return b"\n".join([*lines[:at], changed, *lines[at + 1 :]])[:max_size]


def _with_odd_value(line: bytes, choose: random.Random) -> bytes | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not message:
        return None
    key = choose.choice(list(message))
    inner = message[key]
    if isinstance(inner, list) and inner and isinstance(inner[0], dict) and choose.random() < 0.7:
        inner[0][choose.choice(["filename", "mimeType", "data"])] = choose.choice(ODD_VALUES)
    elif choose.random() < 0.2:
        del message[key]
    else:
        message[key] = choose.choice(ODD_VALUES)
    return json.dumps(message).encode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("wire", choices=sorted(decoders.MAKERS))
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    asked = parser.parse_args()
    kept, found = HERE.parents[1] / ".fuzz" / asked.wire, HERE / "found" / asked.wire
    kept.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={asked.seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=1024",
        f"-dict={HERE / 'dictionary.txt'}", f"-artifact_prefix={found}/",
        "-print_final_stats=1", str(kept), str(HERE / "corpus" / asked.wire),
    ]  # fmt: skip
    atheris.Setup(
        [sys.argv[0], *options],
        lambda data: decoders.check(asked.wire, data),
        custom_mutator=mutate,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
