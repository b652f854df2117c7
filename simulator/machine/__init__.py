"""What a machine and a runtime are."""
