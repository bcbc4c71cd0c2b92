"""``python -m hggbook``, also under ``torchrun -m hggbook``."""

import sys

from hggbook.cli import main

if __name__ == "__main__":
    sys.exit(main())
