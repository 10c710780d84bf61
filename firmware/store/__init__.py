"""What the meter keeps over a power cut: NOR flash, journals and rings on it, and what lies where."""
