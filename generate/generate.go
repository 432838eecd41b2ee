package generate

import (
	"context"

	"github.com/retort-ir/retort"
)

// QueryGenerator invents queries that a passage answers. Implementations are safe for concurrent use.
type QueryGenerator interface {
	// Generate returns the queries it could make from the passage, none where there is nothing to make one from. Each
	// has its ID, Text, Type, Source (the passage's id) and Origin set.
	Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error)
}
