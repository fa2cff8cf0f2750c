"""The eye: what is seen becomes evidence for what is heard."""
