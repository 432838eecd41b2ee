package encoder

import "context"

type aloneKey struct{}

// Alone returns a context with which an Encoder computes each call of Encode separately. Otherwise an Encoder may batch
// the texts of concurrent calls, which changes the rounding of vectors from run to run. Use it where results must be
// reproducible to the bit.
func Alone(ctx context.Context) context.Context { return context.WithValue(ctx, aloneKey{}, true) }

// IsAlone reports whether ctx comes from [Alone]. Implementations of Encoder call it.
func IsAlone(ctx context.Context) bool {
	alone, _ := ctx.Value(aloneKey{}).(bool)
	return alone
}
