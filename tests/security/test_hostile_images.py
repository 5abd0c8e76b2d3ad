"""Whatever comes in as a picture is a picture afterwards, or was refused in words: no crash, no gigabyte, no minute."""

import json
import subprocess
import sys
from pathlib import Path

MOST_MB = 512
MOST_S = 10.0
LEAST_FILES = 200
# In a process of its own, so that its memory is its own, and a crash of a decoder is seen and not suffered.
CHILD = """
import io, json, resource, sys, time, warnings
from PIL import Image
from carousel_pipeline.errors import PermanentError
from carousel_pipeline.imagery.normalise import normalise
from carousel_pipeline.rendering.logo import read_logo
import hostile
warnings.simplefilter("ignore")
def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
found = {"files": 0, "taken": 0, "refused": 0, "wrong": [], "slowest_s": 0.0, "slowest": "", "megabytes": 0.0, "largest": ""}
for name, data in hostile.files(int(sys.argv[1])):
    found["files"] += 1
    for what, read in (("picture", lambda: normalise(data, 1080, 1350)), ("logo", lambda: read_logo(data))):
        begun, before = time.process_time(), megabytes()
        try:
            result = read()
            found["taken"] += 1
            if what == "picture" and Image.open(io.BytesIO(result)).size != (1080, 1350):
                found["wrong"].append(f"{name}: another size")
        except PermanentError:
            found["refused"] += 1
        except BaseException as error:
            found["wrong"].append(f"{name} as a {what}: {type(error).__name__}: {error}"[:200])
        took = time.process_time() - begun
        if took > found["slowest_s"]:
            found["slowest_s"], found["slowest"] = round(took, 2), f"{name} as a {what}"
        if megabytes() > before + 20:
            found["megabytes"], found["largest"] = round(megabytes()), f"{name} as a {what}"
print(json.dumps(found))
"""


def test_hundreds_of_hostile_files_break_nothing(seed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(seed)], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    assert done.returncode == 0, f"a decoder took its process down:\n{done.stderr[-2000:]}"
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["files"] >= LEAST_FILES
    assert found["taken"] > 50, "they are not all refused for the same silly reason"
    assert found["megabytes"] <= MOST_MB, found["largest"]
    assert found["slowest_s"] <= MOST_S, found["slowest"]
