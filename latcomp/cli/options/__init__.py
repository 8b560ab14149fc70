"""The options of the commands. Each is written down once, for every command that takes it."""
