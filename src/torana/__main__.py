"""``python -m torana``: the same as the command ``torana``. Never here: anything else."""

from __future__ import annotations

from torana.cli.main import main

if __name__ == "__main__":
    main()
