"""Makes tools/qasr_tools importable when a script of this folder is run by path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
