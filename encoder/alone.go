package encoder

import "context"

type aloneKey struct{}

// Alone returns a context in which an Encoder computes each call of Encode by itself. An Encoder may compute the texts
// of calls that run at the same time together, which changes the rounding of a vector from run to run. Whoever keeps
// vectors or what follows from them, and wants the same bytes again, encodes with this context.
func Alone(ctx context.Context) context.Context { return context.WithValue(ctx, aloneKey{}, true) }

// IsAlone says whether ctx comes from Alone. It is for implementations of Encoder.
func IsAlone(ctx context.Context) bool {
	alone, _ := ctx.Value(aloneKey{}).(bool)
	return alone
}
