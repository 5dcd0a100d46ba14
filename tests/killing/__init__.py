"""Sudden death at every step: what steps a process takes, and what is left when it, or another, is killed at one."""
