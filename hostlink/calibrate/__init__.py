"""A meter measured against a reference and adjusted: the plan of a bench, the arithmetic, the run."""
