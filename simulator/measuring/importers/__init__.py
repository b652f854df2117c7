"""Profiles that other tools wrote, each as one list of operators and a total."""
