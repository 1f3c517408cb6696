"""The local page: the third adapter, over HTTP."""
