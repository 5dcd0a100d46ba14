"""States: machines saved running and ready, built once, kept by content, shared by every worker and later run.

``declared`` is what users write, ``keys`` what a state depends on, ``store`` finds or builds it, ``shelf`` is what lies
in the cache and what may go. Nothing is imported here: a run that only collects needs ``declared`` alone.
"""
