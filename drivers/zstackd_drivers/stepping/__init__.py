"""A focus axis upon any motor controller: limits, approach, whole steps, what is known."""
