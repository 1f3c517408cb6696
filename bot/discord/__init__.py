"""Discord: an adapter over the studio. Nothing else imports discord.py."""
