"""What leaves the house: exports from query rows."""
