"""The command line, the story, benches and campaigns.

In a locale without UTF-8 a path beyond ASCII reads as surrogates, and the first library that writes it down falls over
it. So whatever is run from here is run in Python's UTF-8 mode, and so is every child.
"""

import os
import sys


def _in_utf8() -> None:
    run_from_here = sys.orig_argv[1:2] == ["-m"] and sys.orig_argv[2].startswith("scripts.")
    if run_from_here and sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONUTF8": "1"})


_in_utf8()
