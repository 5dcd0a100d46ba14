"""Figures of the product, each as a program: ``python -m benchmarks.NAME`` from the project's root."""
