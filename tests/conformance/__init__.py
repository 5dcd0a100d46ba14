"""One suite over the public surface, for every backend and host: what each of them must do alike."""
