"""The Hyper-V world of one simulated host: its state, its time, and the rules that Hyper-V keeps."""
