"""`latcomp bench`: measurements over clips, as tables for people and JSON for everything else."""
