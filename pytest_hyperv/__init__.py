"""pytest-hyperv: disposable virtual machines for tests."""
