"""Who may change what, and what a third party may believe: session, seal, signed statements, update."""
