"""Types that threads meet for the first time together."""

from __future__ import annotations

import subprocess
import sys

MEET = """
import sys, threading
import msgspec
sys.setswitchinterval(1e-5)
SOURCE = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct):
    a: int
    b: str | None = None
class Outer(msgspec.Struct):
    items: list[Inner]
    more: dict[str, Inner] = {}
'''
DATA = b'{"items":[{"a":1,"b":"x"},{"a":2}],"more":{"k":{"a":3}}}'
from sungaze.model import settle_structs
for n in range(300):
    module = type(sys)(f"sungaze.made_{n}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    settle_structs()
    together = threading.Barrier(4)
    def decode():
        together.wait()
        msgspec.json.decode(DATA, type=module.Outer)
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print("alive")
"""


def test_threads_that_decode_a_type_for_the_first_time_together_do_not_crash() -> None:
    done = subprocess.run([sys.executable, "-c", MEET], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
