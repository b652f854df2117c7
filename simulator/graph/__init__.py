"""What a network is: tensors, operators, the flat graph."""
