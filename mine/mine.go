package mine

import (
	"context"

	"github.com/retort-ir/retort"
)

// Hit is one passage of a ranking.
type Hit struct {
	Index int // in the corpus
	Score float32
}

// Retriever ranks a corpus. Implementations are safe for concurrent use.
type Retriever interface {
	// Search returns for each query its k best passages, best first, ties by ascending index; fewer where the corpus or
	// the retriever has fewer.
	Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error)
}
