"""The recipe of the built-in model: it draws captioned scenes and trains on them. No drawing imports it."""
