"""Slack: an adapter over the studio. Nothing else imports slack-bolt or slack_sdk."""
