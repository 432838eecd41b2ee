package box

// OnlyOnPlan9 is left out on every other system.
func OnlyOnPlan9() {}
