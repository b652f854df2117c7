"""One rule an operator: shapes, values, work, an example."""
