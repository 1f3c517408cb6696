"""SQL files, one per version of the database, applied in order."""
