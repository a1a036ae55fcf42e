# Declares nothing: this file only has build.py compiled with the rest, so that it can tell.
