"""The command line: one file a command; parsing, messages and exit codes. Nothing here imports torch until a command
needs it.
"""
