package generate

import (
	"context"
	"iter"

	"github.com/retort-ir/retort"
)

// QueryGenerator invents queries that a passage answers. Implementations are safe for concurrent use.
type QueryGenerator interface {
	// Generate returns the queries it could make from the passage, none where there is nothing to make one from. Each
	// has its ID, Text, Type, Source (the passage's id) and Origin set.
	Generate(ctx context.Context, p retort.Passage) ([]retort.Query, error)
}

// BatchGenerator is a QueryGenerator that works faster on several passages at once. All makes use of it.
type BatchGenerator interface {
	QueryGenerator
	// BatchSize is how many passages it would like to get at once, >= 1.
	BatchSize() int
	// GenerateBatch yields what it made of each passage under the passage's index, once each, in any order. It equals
	// what Generate would return. A passage that fails does not affect the others. When the context ends, so does the
	// sequence.
	GenerateBatch(ctx context.Context, ps []retort.Passage) iter.Seq2[int, Made]
}

// Made is what a generator made of one passage.
type Made struct {
	Queries []retort.Query
	Err     error
}
