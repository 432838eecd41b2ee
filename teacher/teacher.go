package teacher

import (
	"context"

	"github.com/retort-ir/retort"
)

// Teacher scores passages for a query. Implementations are safe for concurrent use.
type Teacher interface {
	// Score returns one score a passage, in their order; higher is better. The scale is the teacher's own.
	Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error)
}
