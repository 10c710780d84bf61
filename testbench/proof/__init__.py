"""Proofs of the device's arithmetic for all inputs: the firmware's own source, executed on symbols, against exact integers.

    words     a 32-bit machine word with an unknown value; every step of the code must keep it below 2**32
    paths     runs a function on such words along every path it can take
    source    loads a module of the firmware so that it can be run that way, viper functions included
    lemmas    what the words take for granted of machine arithmetic, proved on bit-vectors
    kernel    `accumulate` and `scale`, plain and viper: equal to exact arithmetic, full exactly when it must be
    surface   `tables.Surface.at`: small integers throughout, inside its table, between its nodes

`python -m testbench.proof` (`make prove`) proves all of it; docs/arithmetic.md says what follows.
"""
