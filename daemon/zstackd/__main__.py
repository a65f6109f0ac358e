"""`python -m zstackd`."""

import sys

from zstackd.cli import main

sys.exit(main())
