"""Where this project's folder of real models and pictures lies, for its tests too."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "CATCH11_ASSETS"
ASSETS = Path(os.environ.get(VARIABLE, ROOT.parent / "shared" / "assets"))
