"""`make bench-device`: instructions and heap of the device's arithmetic, beside what one would write instead and the same in C."""
