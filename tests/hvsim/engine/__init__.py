"""What runs commands on the simulated host: pipelines, streams, errors, general cmdlets, and the values they handle."""
