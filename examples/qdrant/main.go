// Command qdrant answers queries from Qdrant and swaps the query encoder while they run. README.md explains it.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"

	"github.com/qdrant/go-client/qdrant"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/examples/internal/stores"
	"github.com/retort-ir/retort/mine"
)

func main() {
	stores.Main("localhost:6334", "address of the server, for gRPC; the key is in QDRANT_API_KEY", open)
}

// store is a collection of points with two vectors each: dense is the passage's vector, words its terms.
type store struct {
	client     *qdrant.Client
	collection string
	analyzer   mine.Analyzer
}

const dense, words, passageID = "dense", "words", "passage"

func open(ctx context.Context, address, index string, dim int) (stores.Store, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, err
	}
	key := os.Getenv("QDRANT_API_KEY")
	client, err := qdrant.NewClient(&qdrant.Config{Host: host, Port: number, APIKey: key, UseTLS: key != ""})
	if err != nil {
		return nil, err
	}
	s := &store{client: client, collection: index, analyzer: mine.English()}
	if err := s.create(ctx, dim); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return s, nil
}

func (s *store) create(ctx context.Context, dim int) error {
	there, err := s.client.CollectionExists(ctx, s.collection)
	if err != nil || there {
		return err
	}
	vector := &qdrant.VectorParams{Size: uint64(dim), Distance: qdrant.Distance_Dot}
	terms := &qdrant.SparseVectorParams{Modifier: qdrant.Modifier_Idf.Enum()}
	return s.client.CreateCollection(ctx, &qdrant.CreateCollection{
		CollectionName:      s.collection,
		VectorsConfig:       qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{dense: vector}),
		SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{words: terms}),
	})
}

func (s *store) Count(ctx context.Context) (int, error) {
	n, err := s.client.Count(ctx, &qdrant.CountPoints{CollectionName: s.collection, Exact: qdrant.PtrOf(true)})
	return int(n), err
}

func (s *store) Write(ctx context.Context, passages []retort.Passage, vectors blas32.General) error {
	points := make([]*qdrant.PointStruct, len(passages))
	for i, p := range passages {
		terms, weights := s.terms(p.Content())
		points[i] = &qdrant.PointStruct{
			Id: pointID(p.ID), Payload: qdrant.NewValueMap(map[string]any{passageID: p.ID, "title": p.Title, "text": p.Text}),
			Vectors: qdrant.NewVectorsMap(map[string]*qdrant.Vector{
				dense: qdrant.NewVectorDense(vectors.Data[i*vectors.Stride:][:vectors.Cols]),
				words: qdrant.NewVectorSparse(terms, weights),
			}),
		}
	}
	_, err := s.client.Upsert(ctx, &qdrant.UpsertPoints{
		CollectionName: s.collection, Wait: qdrant.PtrOf(true), Points: points,
	})
	return err
}

// pointID makes an id of the kind that Qdrant takes, a UUID, of a passage's.
func pointID(passage string) *qdrant.PointId {
	h := sha256.Sum256([]byte(passage))
	return qdrant.NewIDUUID(fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16]))
}

func (s *store) Vector(ctx context.Context, id string) ([]float32, error) {
	points, err := s.client.Get(ctx, &qdrant.GetPoints{
		CollectionName: s.collection, Ids: []*qdrant.PointId{pointID(id)}, WithVectors: qdrant.NewWithVectorsInclude(dense),
	})
	if err != nil || len(points) == 0 {
		return nil, cmp.Or(err, errors.New("no such passage"))
	}
	return points[0].GetVectors().GetVectors().GetVectors()[dense].GetDenseVector().GetData(), nil
}

func (s *store) Dense(ctx context.Context, query []float32, k int) ([]string, error) {
	return s.ids(ctx, dense, qdrant.NewQueryDense(query), k)
}

func (s *store) Text(ctx context.Context, query string, k int) ([]string, error) {
	terms, weights := s.terms(query)
	if len(terms) == 0 {
		return nil, nil
	}
	return s.ids(ctx, words, qdrant.NewQuerySparse(terms, weights), k)
}

func (s *store) ids(ctx context.Context, vector string, query *qdrant.Query, k int) ([]string, error) {
	points, err := s.client.Query(ctx, &qdrant.QueryPoints{
		CollectionName: s.collection, Query: query, Using: &vector, Limit: qdrant.PtrOf(uint64(k)),
		WithPayload: qdrant.NewWithPayloadInclude(passageID),
	})
	ids := make([]string, len(points))
	for i, p := range points {
		ids[i] = p.GetPayload()[passageID].GetStringValue()
	}
	return ids, err
}

// terms returns the terms of a text as a sparse vector, whose product with a query's is BM25, because the collection
// multiplies each term by its idf. Passages are taken to be of average length.
func (s *store) terms(text string) (terms []uint32, weights []float32) {
	counts := map[uint32]float32{}
	for _, t := range s.analyzer.Terms(text) {
		h := fnv.New32a()
		h.Write([]byte(t))
		counts[h.Sum32()]++
	}
	for term, n := range counts {
		terms, weights = append(terms, term), append(weights, n*1.9/(n+.9)) // k1 = .9, b = 0
	}
	return terms, weights
}

func (s *store) Close() error { return s.client.Close() }
