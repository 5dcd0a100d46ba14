"""The page of a run: what was seen becomes data, data becomes one HTML file that needs nothing else."""
