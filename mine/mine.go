package mine

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
)

// Hit is one passage of a ranking.
type Hit struct {
	Index int // in the corpus
	Score float32
}

// Retriever ranks a corpus. Implementations are safe for concurrent use.
type Retriever interface {
	// Search returns for each query its k best passages, best first, ties by ascending index. It returns fewer than k
	// if the corpus or the retriever has fewer.
	Search(ctx context.Context, queries []retort.Query, k int) ([][]Hit, error)
}

// Scorer scores every passage of a corpus. Implementations are safe for concurrent use.
type Scorer interface {
	// Len returns the number of passages n.
	Len() int
	// ScoreAll returns one row of scores per query, [len(queries) x n], row-major, owned by the caller. Pass few
	// queries at a time to bound the memory.
	ScoreAll(ctx context.Context, queries []retort.Query) (blas32.General, error)
}
