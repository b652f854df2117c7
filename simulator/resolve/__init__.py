"""From what a file says to a graph with every shape known."""
