"""The stages that train the built-in model from nothing."""
