"""The settings of who pods may be in Slurm: for the webhook, and for the controller."""

from bridge import config
from bridge.jobs import identity


def rules(settings: config.IdentitySettings) -> identity.Rules:
    """Who pods may be in Slurm."""
    return identity.Rules(
        required=settings.required,
        pods_choose_user=settings.pods_choose_user,
        pods_set_priority=settings.pods_set_priority,
    )
