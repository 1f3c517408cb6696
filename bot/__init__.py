"""People, places, jobs, quotas, chat."""
