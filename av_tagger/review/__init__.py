"""The review loop: uncertain results are played and answered; answers become labels."""
