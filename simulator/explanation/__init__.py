"""Where an estimate's numbers come from: formulas with the numbers in them, and the sources of these."""
