"""The small model that ships with the package, and the recipe that trained it."""
