"""Both fakes as a process of their own: `python -m tests.providers`, the two base URLs on stdout, one a line, until ended."""

import sys
import threading

from .fake_claude import FakeClaude
from .fake_gemini import FakeGemini
from .serving import served

with served(FakeClaude().app()) as claude, served(FakeGemini().app()) as gemini:
    sys.stdout.write(f"{claude}\n{gemini}\n")
    sys.stdout.flush()
    threading.Event().wait()
