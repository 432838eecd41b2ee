package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/mine"
)

// double is a test double of an Elasticsearch server: its analyzers are in no package registry. It accepts the requests
// of this program as Elasticsearch's reference describes them, searches exactly, and refuses every other key and
// parameter.
type double struct {
	mu      sync.Mutex
	indexes map[string]*index
}

type index struct {
	dim  int
	ids  []string // in the order of the first write
	docs map[string]document
}

type document struct {
	Content string    `json:"content"`
	Vector  []float32 `json:"vector"`
}

// startDouble returns the address of a new double, which runs until the test ends.
func startDouble(t *testing.T) string {
	d := &double{indexes: map[string]*index{}}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /{index}", d.handler("", d.create))
	mux.HandleFunc("DELETE /{index}", d.handler("", d.remove))
	mux.HandleFunc("GET /{index}/_count", d.handler("", d.count))
	mux.HandleFunc("POST /{index}/_bulk", d.handler("refresh=true", d.bulk))
	mux.HandleFunc("GET /{index}/_doc/{id}", d.handler("_source_exclude_vectors=false", d.get))
	mux.HandleFunc("POST /{index}/_search", d.handler("", d.search))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// refusal is an error of the server.
type refusal struct {
	status       int
	kind, reason string
}

func (r *refusal) Error() string { return r.kind + ": " + r.reason }

func bad(kind, format string, arguments ...any) error {
	return &refusal{http.StatusBadRequest, kind, fmt.Sprintf(format, arguments...)}
}

// handler answers requests with the given parameters about an index, one at a time.
func (d *double) handler(parameters string, answer func(*http.Request, *index) (object, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		x := d.indexes[r.PathValue("index")]
		var reply object
		var err error
		switch {
		case r.URL.RawQuery != parameters:
			err = bad("illegal_argument_exception", "parameters %q, want %q", r.URL.RawQuery, parameters)
		case x == nil && r.Method != http.MethodPut:
			err = &refusal{http.StatusNotFound, "index_not_found_exception", "no such index"}
		default:
			reply, err = answer(r, x)
		}
		w.Header().Set("X-Elastic-Product", "Elasticsearch") // without it the client refuses the server
		w.Header().Set("Content-Type", "application/json")
		if e := (*refusal)(nil); errors.As(err, &e) {
			w.WriteHeader(e.status)
			reply = object{"status": e.status, "error": object{"type": e.kind, "reason": e.reason}}
		} else if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			reply = object{"error": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(reply) // an error is the client's, who has gone
	}
}

// decode reads one JSON value into a target. A key that the target does not have is an error.
func decode(from *json.Decoder, to any) error {
	from.DisallowUnknownFields()
	if err := from.Decode(to); err != nil && err != io.EOF {
		return bad("parsing_exception", "%v", err)
	} else if err != nil {
		return err
	}
	return nil
}

func (d *double) create(r *http.Request, x *index) (object, error) {
	type field struct {
		Type, Analyzer, Similarity string
		Dims                       int
	}
	var body struct {
		Mappings struct {
			Dynamic    string
			Properties struct{ Content, Vector field }
		}
	}
	if x != nil {
		return nil, bad("resource_already_exists_exception", "the index exists")
	}
	if err := decode(json.NewDecoder(r.Body), &body); err != nil {
		return nil, err
	}
	fields := body.Mappings.Properties
	dim := fields.Vector.Dims
	if dim < 1 || dim > 4096 || fields.Vector != (field{Type: "dense_vector", Similarity: "dot_product", Dims: dim}) ||
		fields.Content != (field{Type: "text", Analyzer: "english"}) || body.Mappings.Dynamic != "strict" {
		return nil, bad("mapper_parsing_exception", "unexpected mapping %+v", body.Mappings)
	}
	d.indexes[r.PathValue("index")] = &index{dim: dim, docs: map[string]document{}}
	return object{"acknowledged": true}, nil
}

func (d *double) remove(r *http.Request, _ *index) (object, error) {
	delete(d.indexes, r.PathValue("index"))
	return object{"acknowledged": true}, nil
}

func (d *double) count(_ *http.Request, x *index) (object, error) {
	return object{"count": len(x.docs)}, nil
}

func (d *double) bulk(r *http.Request, x *index) (object, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(body, []byte("\n")) {
		return nil, bad("illegal_argument_exception", "the bulk request must be terminated by a newline")
	}
	var items []object
	for lines := json.NewDecoder(bytes.NewReader(body)); ; {
		var action struct {
			Index *struct {
				ID string `json:"_id"`
			}
		}
		var doc document
		if err := decode(lines, &action); err == io.EOF {
			return object{"items": items}, nil
		} else if err != nil {
			return nil, err
		}
		if err := decode(lines, &doc); err != nil || action.Index == nil {
			return nil, bad("parsing_exception", "want an action index and a document: %v", err)
		}
		result := object{"_id": action.Index.ID}
		if err := x.check(doc.Vector); err != nil {
			result["error"] = object{"type": "document_parsing_exception", "reason": err.Error()}
		} else {
			if _, there := x.docs[action.Index.ID]; !there {
				x.ids = append(x.ids, action.Index.ID)
			}
			x.docs[action.Index.ID] = doc
		}
		items = append(items, object{"index": result})
	}
}

// check refuses vectors of another width or length than the field takes.
func (x *index) check(vector []float32) error {
	var length float64
	for _, v := range vector {
		length += float64(v) * float64(v)
	}
	if len(vector) != x.dim || math.Abs(length-1) > 1e-3 {
		return bad("illegal_argument_exception", "a vector of %d dims and length %v, want %d dims and unit length",
			len(vector), math.Sqrt(length), x.dim)
	}
	return nil
}

func (d *double) get(r *http.Request, x *index) (object, error) {
	doc, ok := x.docs[r.PathValue("id")]
	if !ok {
		return nil, &refusal{http.StatusNotFound, "", "not found"}
	}
	return object{"_id": r.PathValue("id"), "_source": doc}, nil
}

type searchBody struct {
	Size   int
	Source *bool `json:"_source"`
	KNN    *struct {
		Field      string
		Vector     []float32 `json:"query_vector"`
		K          int
		Candidates int `json:"num_candidates"`
	}
	Query *struct{ Match struct{ Content string } }
}

func (d *double) search(r *http.Request, x *index) (object, error) {
	var body searchBody
	if err := decode(json.NewDecoder(r.Body), &body); err != nil {
		return nil, err
	}
	if body.Source == nil || *body.Source || body.Size < 1 || body.Size > 10_000 {
		return nil, bad("parsing_exception", "want _source false and a size up to 10000")
	}
	if (body.KNN == nil) == (body.Query == nil) {
		return nil, bad("parsing_exception", "want knn or a query")
	}
	hits, err := x.ranking(r.Context(), body)
	if err != nil {
		return nil, err
	}
	found := []object{}
	for _, h := range hits {
		found = append(found, object{"_id": x.ids[h.Index], "_score": h.Score})
	}
	return object{"hits": object{"hits": found}}, nil
}

func (x *index) ranking(ctx context.Context, body searchBody) ([]mine.Hit, error) {
	if body.Query != nil {
		return x.match(ctx, body.Query.Match.Content, body.Size)
	}
	knn := body.KNN
	if knn.Field != "vector" || knn.K < 1 || knn.K > knn.Candidates || knn.Candidates > 10_000 {
		return nil, bad("illegal_argument_exception", "field %s, k %d, num_candidates %d", knn.Field, knn.K, knn.Candidates)
	}
	if err := x.check(knn.Vector); err != nil {
		return nil, err
	}
	return x.nearest(ctx, knn.Vector, min(knn.K, body.Size))
}

func (x *index) nearest(ctx context.Context, query []float32, k int) ([]mine.Hit, error) {
	vectors := blas32.General{Rows: len(x.ids), Cols: x.dim, Stride: x.dim}
	for _, id := range x.ids {
		vectors.Data = append(vectors.Data, x.docs[id].Vector...)
	}
	rankings, err := mine.TopK(ctx, blas32.General{Rows: 1, Cols: x.dim, Stride: x.dim, Data: query}, vectors, k)
	if err != nil {
		return nil, err
	}
	return rankings[0], nil
}

func (x *index) match(ctx context.Context, query string, k int) ([]mine.Hit, error) {
	var passages []retort.Passage
	for _, id := range x.ids {
		passages = append(passages, retort.Passage{ID: id, Text: x.docs[id].Content})
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return nil, err
	}
	bm25, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	if err != nil {
		return nil, err
	}
	defer bm25.Close()
	rankings, err := bm25.Search(ctx, []retort.Query{{ID: "q", Text: query}}, k)
	if err != nil {
		return nil, err
	}
	return rankings[0], nil
}
