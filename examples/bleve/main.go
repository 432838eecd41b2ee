// Command bleve answers queries from a bleve index and swaps the query encoder while they run. README.md explains it.
package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/mapping"
	index "github.com/blevesearch/bleve_index_api"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/examples/internal/stores"
	"github.com/retort-ir/retort/mine"
)

func main() { stores.Main("runs/bleve", "folder of the indexes", open) }

// store is a bleve index of the passages' words, which keeps their vectors as stored fields. bleve's own search for
// vectors needs faiss, a library in C++. Here Retort searches them exactly, in memory.
type store struct {
	index bleve.Index
	dim   int

	mu      sync.Mutex
	ids     []string       // of the passages that are in memory
	vectors blas32.General // [len(ids) x dim]
}

func open(_ context.Context, address, name string, dim int) (stores.Store, error) {
	path := filepath.Join(address, name)
	i, err := bleve.Open(path)
	if errors.Is(err, bleve.ErrorIndexPathDoesNotExist) {
		i, err = bleve.New(path, passageMapping())
	}
	return &store{index: i, dim: dim}, err
}

func passageMapping() mapping.IndexMapping {
	text := bleve.NewTextFieldMapping()
	text.Analyzer, text.Store = en.AnalyzerName, false
	vector := bleve.NewTextFieldMapping()
	vector.Index, vector.IncludeInAll, vector.IncludeTermVectors, vector.DocValues = false, false, false, false
	m := bleve.NewIndexMapping()
	m.ScoringModel = index.BM25Scoring
	m.DefaultMapping = bleve.NewDocumentStaticMapping()
	m.DefaultMapping.AddFieldMappingsAt("text", text)
	m.DefaultMapping.AddFieldMappingsAt("vector", vector)
	return m
}

func (s *store) Count(context.Context) (int, error) {
	n, err := s.index.DocCount()
	return int(n), err
}

// Write adds all passages or none.
func (s *store) Write(_ context.Context, passages []retort.Passage, vectors blas32.General) error {
	b := s.index.NewBatch()
	for i, p := range passages {
		raw, err := binary.Append(nil, binary.LittleEndian, vectors.Data[i*vectors.Stride:][:s.dim])
		if err == nil {
			err = b.Index(p.ID, map[string]any{"text": p.Content(), "vector": string(raw)})
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = nil
	return s.index.Batch(b)
}

func (s *store) Vector(ctx context.Context, id string) ([]float32, error) {
	ids, vectors, err := s.all(ctx)
	i := slices.Index(ids, id)
	if err != nil || i < 0 {
		return nil, cmp.Or(err, errors.New("no such passage"))
	}
	return vectors.Data[i*s.dim:][:s.dim], nil
}

func (s *store) Dense(ctx context.Context, query []float32, k int) ([]string, error) {
	ids, vectors, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	rankings, err := mine.TopK(ctx, blas32.General{Rows: 1, Cols: s.dim, Stride: s.dim, Data: query}, vectors, k)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, h := range rankings[0] {
		found = append(found, ids[h.Index])
	}
	return found, nil
}

func (s *store) Text(ctx context.Context, text string, k int) ([]string, error) {
	q := bleve.NewMatchQuery(text)
	q.SetField("text")
	result, err := s.index.SearchInContext(ctx, bleve.NewSearchRequestOptions(q, k, 0, false))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, h := range result.Hits {
		found = append(found, h.ID)
	}
	return found, nil
}

// all returns the ids and the vectors of all passages.
func (s *store) all(ctx context.Context) ([]string, blas32.General, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.Count(ctx)
	if err != nil || len(s.ids) == n {
		return s.ids, s.vectors, err
	}
	request := bleve.NewSearchRequestOptions(bleve.NewMatchAllQuery(), n, 0, false)
	request.Fields = []string{"vector"}
	result, err := s.index.SearchInContext(ctx, request)
	if err != nil {
		return nil, s.vectors, err
	}
	s.ids, s.vectors = nil, blas32.General{Rows: n, Cols: s.dim, Stride: s.dim, Data: make([]float32, n*s.dim)}
	for i, h := range result.Hits {
		raw, _ := h.Fields["vector"].(string)
		if _, err := binary.Decode([]byte(raw), binary.LittleEndian, s.vectors.Data[i*s.dim:][:s.dim]); err != nil {
			return nil, s.vectors, fmt.Errorf("the vector of %q: %w", h.ID, err)
		}
		s.ids = append(s.ids, h.ID)
	}
	return s.ids, s.vectors, nil
}

func (s *store) Close() error { return s.index.Close() }
