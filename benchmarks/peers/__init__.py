"""Other model servers, each given the model code that a careful engineer would write for it, and the official stack."""
