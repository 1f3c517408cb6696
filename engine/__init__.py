"""A request in, image files out; knows nothing of chat, people, quotas or SQL."""

VERSION = "0.1.0"
