package main

import (
	"cmp"
	"context"
	"math"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// double is a test double of a Qdrant server, which is in no package registry. It answers over gRPC with the client's
// own messages, searches exactly, and does only what this program asks for. It refuses anything else.
type double struct {
	mu          sync.Mutex
	collections map[string]*collection
}

type collection struct {
	dim    int
	ids    []string // in the order of the first write
	points map[string]*qdrant.PointStruct
}

// The services of the double. Two of them have methods of the same name.
type (
	health struct {
		qdrant.UnimplementedQdrantServer
	}
	admin struct {
		qdrant.UnimplementedCollectionsServer
		*double
	}
	data struct {
		qdrant.UnimplementedPointsServer
		*double
	}
)

// startDouble returns the address of a new double, which runs until the test ends.
func startDouble(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &double{collections: map[string]*collection{}}
	s := grpc.NewServer()
	qdrant.RegisterQdrantServer(s, health{})
	qdrant.RegisterCollectionsServer(s, admin{double: d})
	qdrant.RegisterPointsServer(s, data{double: d})
	go func() { _ = s.Serve(l) }() // ends with Stop
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func (health) HealthCheck(context.Context, *qdrant.HealthCheckRequest) (*qdrant.HealthCheckReply, error) {
	return &qdrant.HealthCheckReply{Title: "double", Version: "1.17.0"}, nil
}

func (a admin) CollectionExists(
	_ context.Context, r *qdrant.CollectionExistsRequest,
) (*qdrant.CollectionExistsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.collections[r.GetCollectionName()]
	return &qdrant.CollectionExistsResponse{Result: &qdrant.CollectionExists{Exists: ok}}, nil
}

func (a admin) Create(_ context.Context, r *qdrant.CreateCollection) (*qdrant.CollectionOperationResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	vectors, sparse := r.GetVectorsConfig().GetParamsMap().GetMap(), r.GetSparseVectorsConfig().GetMap()
	switch {
	case a.collections[r.GetCollectionName()] != nil:
		return nil, status.Error(codes.AlreadyExists, "the collection exists")
	case len(vectors) != 1 || vectors[dense].GetDistance() != qdrant.Distance_Dot || vectors[dense].GetSize() == 0:
		return nil, status.Error(codes.Unimplemented, "want one vector, dense, with the distance Dot")
	case len(sparse) != 1 || sparse[words].GetModifier() != qdrant.Modifier_Idf:
		return nil, status.Error(codes.Unimplemented, "want one sparse vector, words, with the modifier Idf")
	}
	c := &collection{dim: int(vectors[dense].GetSize()), points: map[string]*qdrant.PointStruct{}}
	a.collections[r.GetCollectionName()] = c
	return &qdrant.CollectionOperationResponse{Result: true}, nil
}

func (a admin) Delete(_ context.Context, r *qdrant.DeleteCollection) (*qdrant.CollectionOperationResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.collections[r.GetCollectionName()]
	delete(a.collections, r.GetCollectionName())
	return &qdrant.CollectionOperationResponse{Result: ok}, nil
}

// find returns a collection. The caller holds the lock.
func (d *double) find(name string) (*collection, error) {
	if c := d.collections[name]; c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "collection %s does not exist", name)
}

func (d data) Upsert(_ context.Context, r *qdrant.UpsertPoints) (*qdrant.PointsOperationResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if !r.GetWait() {
		return nil, status.Error(codes.Unimplemented, "want wait")
	}
	for _, p := range r.GetPoints() { // all or none
		if err := c.check(p); err != nil {
			return nil, err
		}
	}
	for _, p := range r.GetPoints() {
		id := p.GetId().GetUuid()
		if c.points[id] == nil {
			c.ids = append(c.ids, id)
		}
		c.points[id] = p
	}
	return &qdrant.PointsOperationResponse{Result: &qdrant.UpdateResult{Status: qdrant.UpdateStatus_Completed}}, nil
}

func vectorsOf(p *qdrant.PointStruct) map[string]*qdrant.Vector {
	return p.GetVectors().GetVectors().GetVectors()
}

func (c *collection) check(p *qdrant.PointStruct) error {
	if _, err := uuid.Parse(p.GetId().GetUuid()); err != nil {
		return status.Errorf(codes.InvalidArgument, "unable to parse UUID: %v", err)
	}
	vectors := vectorsOf(p)
	if n := len(vectors[dense].GetDense().GetData()); n != c.dim || len(vectors) != 2 {
		return status.Errorf(codes.InvalidArgument, "vector dimension error: expected dim: %d, got %d", c.dim, n)
	}
	return checkSparse(vectors[words].GetSparse())
}

func checkSparse(v *qdrant.SparseVector) error {
	indices := slices.Clone(v.GetIndices())
	slices.Sort(indices)
	if len(indices) != len(v.GetValues()) || len(slices.Compact(indices)) != len(v.GetValues()) {
		return status.Error(codes.InvalidArgument, "a sparse vector has as many values as indices, which differ")
	}
	return nil
}

func (d data) Count(_ context.Context, r *qdrant.CountPoints) (*qdrant.CountResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	return &qdrant.CountResponse{Result: &qdrant.CountResult{Count: uint64(len(c.points))}}, nil
}

func (d data) Get(_ context.Context, r *qdrant.GetPoints) (*qdrant.GetResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if !slices.Equal(r.GetWithVectors().GetInclude().GetNames(), []string{dense}) {
		return nil, status.Error(codes.Unimplemented, "want the vector dense")
	}
	var found []*qdrant.RetrievedPoint
	for _, id := range r.GetIds() {
		if p := c.points[id.GetUuid()]; p != nil {
			found = append(found, &qdrant.RetrievedPoint{Id: p.GetId(), Vectors: output(p)})
		}
	}
	return &qdrant.GetResponse{Result: found}, nil
}

func output(p *qdrant.PointStruct) *qdrant.VectorsOutput {
	v := &qdrant.VectorOutput{Vector: &qdrant.VectorOutput_Dense{Dense: vectorsOf(p)[dense].GetDense()}}
	named := &qdrant.NamedVectorsOutput{Vectors: map[string]*qdrant.VectorOutput{dense: v}}
	return &qdrant.VectorsOutput{VectorsOptions: &qdrant.VectorsOutput_Vectors{Vectors: named}}
}

func (d data) Query(_ context.Context, r *qdrant.QueryPoints) (*qdrant.QueryResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.find(r.GetCollectionName())
	if err != nil {
		return nil, err
	}
	nearest := r.GetQuery().GetNearest()
	var score func(*qdrant.PointStruct) (float64, bool)
	switch r.GetUsing() {
	case dense:
		if len(nearest.GetDense().GetData()) != c.dim {
			return nil, status.Error(codes.InvalidArgument, "vector dimension error")
		}
		score = func(p *qdrant.PointStruct) (s float64, _ bool) {
			for i, v := range vectorsOf(p)[dense].GetDense().GetData() {
				s += float64(v) * float64(nearest.GetDense().GetData()[i])
			}
			return s, true
		}
	case words:
		if err := checkSparse(nearest.GetSparse()); err != nil {
			return nil, err
		}
		score = c.sparse(nearest.GetSparse())
	default:
		return nil, status.Errorf(codes.InvalidArgument, "not existing vector name: %s", r.GetUsing())
	}
	var found []*qdrant.ScoredPoint
	for _, id := range c.ids {
		p := c.points[id]
		if s, ok := score(p); ok {
			found = append(found, &qdrant.ScoredPoint{Id: p.GetId(), Payload: p.GetPayload(), Score: float32(s)})
		}
	}
	slices.SortStableFunc(found, func(a, b *qdrant.ScoredPoint) int { return cmp.Compare(b.GetScore(), a.GetScore()) })
	return &qdrant.QueryResponse{Result: found[:min(len(found), int(r.GetLimit()))]}, nil
}

// sparse scores points by the inner product with a query whose values are multiplied by the idf of their terms, as
// Qdrant's documentation defines the modifier: ln((N - df + .5) / (df + .5) + 1). A point without a common term is not
// found.
func (c *collection) sparse(query *qdrant.SparseVector) func(*qdrant.PointStruct) (float64, bool) {
	df := map[uint32]float64{}
	for _, p := range c.points {
		for _, term := range vectorsOf(p)[words].GetSparse().GetIndices() {
			df[term]++
		}
	}
	weights := map[uint32]float64{}
	for i, term := range query.GetIndices() {
		idf := math.Log((float64(len(c.points))-df[term]+.5)/(df[term]+.5) + 1)
		weights[term] = float64(query.GetValues()[i]) * idf
	}
	return func(p *qdrant.PointStruct) (s float64, found bool) {
		v := vectorsOf(p)[words].GetSparse()
		for i, term := range v.GetIndices() {
			if w, ok := weights[term]; ok {
				s += w * float64(v.GetValues()[i])
				found = true
			}
		}
		return s, found
	}
}
