"""Build script: Cython compiles every ``.py`` under ``src/torana`` that has a ``.pxd`` beside it.

``TORANA_PURE=1`` compiles nothing. A machine without a compiler or Python headers gets the pure build and a clear word.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "boundscheck": True,
    "wraparound": False,
    "nonecheck": True,
    "initializedcheck": False,
}


def extensions() -> list[object]:
    if os.environ.get("TORANA_PURE") == "1":
        return []
    from Cython.Build import cythonize
    from setuptools import Extension

    sources = sorted(path.with_suffix(".py") for path in Path("src/torana").rglob("*.pxd"))
    return cythonize(
        [
            Extension(".".join(path.relative_to("src").with_suffix("").parts), [str(path)], extra_compile_args=["-O2", "-g0"])
            for path in sources
            if path.exists() and path.name != "__init__.py"
        ],
        compiler_directives=DIRECTIVES,
        build_dir="build/cython",
        nthreads=2,
    )


setup(ext_modules=extensions())
