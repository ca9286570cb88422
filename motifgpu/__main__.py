"""``python -m motifgpu`` is the command ``motifgpu``."""

import sys

from motifgpu.cli import main

sys.exit(main())
