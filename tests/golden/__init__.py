"""What must not change while the inside is rebuilt: files, tables, exit codes and `--help`.

`expected/` holds the outputs, one file a case; a change on purpose is written there with
`python -m tests.golden.update`, and read in the diff before it is committed.
"""
