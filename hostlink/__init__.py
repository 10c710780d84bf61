"""The host side: finds meters, speaks their protocol, decodes and proves what they say."""
