"""A run process keeps freed memory while it works, and holds none of it while it waits."""

import platform
import subprocess
import sys

import pytest

_PROCESS = """
import resource, threading
import psutil
from carousel_pipeline.memory import give_back, keep_freed

def faults_of_work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        pieces = [bytearray(12_000_000) for _ in range(3)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

stock = faults_of_work()
keep_freed()
faults_of_work()
kept = faults_of_work()
pieces = [bytearray(4_000_000) for _ in range(20)]
threads = [threading.Thread(target=faults_of_work) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
del pieces
held = psutil.Process().memory_full_info().uss
give_back()
print(stock, kept, (held - psutil.Process().memory_full_info().uss) // 1_000_000)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_used_again_and_given_back_when_asked() -> None:
    done = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True)
    stock, kept, given_back = map(int, done.stdout.split())
    assert stock > 20 * 1000, "the system clears what was given back"
    assert kept < stock / 20
    assert given_back > 60
