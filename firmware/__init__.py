"""What runs on the meter. Knows the protocol, and nothing of any host."""
