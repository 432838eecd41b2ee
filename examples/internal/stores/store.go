// Package stores is what the examples with a vector store have in common: [Main] encodes the passages once, answers
// queries from the store, and swaps the query encoder while queries run. An example adds its [Store].
package stores

import (
	"context"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
)

// Store keeps passages and their vectors, which have length 1. Its methods except Close are safe for concurrent use.
type Store interface {
	// Count returns the number of passages that are in the store: as many of the first ones of the corpus.
	Count(ctx context.Context) (int, error)
	// Write adds passages and their vectors [len(passages) x d], row-major. It replaces passages that are there.
	Write(ctx context.Context, passages []retort.Passage, vectors blas32.General) error
	// Vector returns the stored vector of a passage [d].
	Vector(ctx context.Context, id string) ([]float32, error)
	// Dense returns the ids of the k passages whose vectors are nearest to a query's [d] by cosine, best first.
	Dense(ctx context.Context, query []float32, k int) ([]string, error)
	Close() error
}

// TextSearcher is implemented by a Store that has a text index.
type TextSearcher interface {
	// Text returns the ids of the k passages that match the words of a query best, best first, or of all that match any.
	Text(ctx context.Context, query string, k int) ([]string, error)
}

// Open opens the store at an address, and makes what is not there yet. Index names the index, collection or table of
// one corpus and one model, whose vectors have dim values. It has lower-case letters, digits and underscores.
type Open func(ctx context.Context, address, index string, dim int) (Store, error)
