"""Fuzz targets for every parser of ours, whoever the bytes come from, and the drivers that run them.

A target (``targets/``) is one function ``run(data)``: it feeds a parser, whole and in pieces, and gives back a verdict,
which is what came out as plain values. Whatever the bytes, it may raise nothing: a parser's own error is part of the
verdict; anything else, pieces that change the verdict, or another library (``peers/``) that reads other messages, is a
finding.

- ``pytest tests/fuzz``: a short run over inputs that are always the same (``inputs.py``) and over the kept corpus
  (``corpus/``): every target, and, in the compiled build, whether both builds give the same verdicts (threat G-034).
- ``make fuzz MINUTES=n`` and ``make fuzz-corpus`` (``long_run.py``): all targets under atheris, and what is kept of it.
- ``python -m tests.fuzz TARGET [FOLDER] [-max_total_time=60 ...]``: one long run (dependency group "fuzz"), led by the
  coverage of the pure sources; where torana is compiled, each input is given to both builds. FOLDER holds the corpus
  and grows; what follows goes to libFuzzer as it is.
- ``python -m tests.fuzz TARGET FILE``: give one input, such as a crash that was found, to a target.
- ``make test-sanitize`` (``sanitizers.py``): all of it, and tests/unit, with AddressSanitizer and
  UndefinedBehaviorSanitizer.

docs/security/fuzzing.md tells more.
"""
