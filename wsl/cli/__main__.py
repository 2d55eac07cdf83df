"""`python -m wsl.cli`: the command line without an installed script, for torchrun and Snakemake."""

import sys

from wsl.cli.main import main

sys.exit(main())
