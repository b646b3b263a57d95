"""poolkit: size connection pools by measurement.

Importing the package loads nothing else: every name lives in its own module (`poolkit.targets`,
`poolkit.analysis`, ...), so that a service or a notebook pays only for what it uses.
"""

__version__ = "0.1.0"
