"""Models of the chips that drivers read, written from their datasheets: bytes in, bytes out, resets and wraps included."""
