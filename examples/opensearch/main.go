// Command opensearch swaps the query encoder of a search in OpenSearch or Elasticsearch. README.md explains it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/elastic/go-elasticsearch/v9"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchtransport"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/examples/internal/stores"
)

var elastic = flag.Bool("elasticsearch", false, "the server is an Elasticsearch")

func main() {
	stores.Main("http://localhost:9200", "server, such as https://name:password@host:9200", open)
}

type object map[string]any

// store is an index of the server. Both official clients send plain requests; they retry and authenticate.
type store struct {
	client  opensearchtransport.Interface
	path    string
	vectors string                              // parameters of a request for a passage, so that it comes with its vector
	nearest func(query []float32, k int) object // of 100 candidates at least, since few miss some of the nearest
}

func open(ctx context.Context, address, index string, dim int) (_ stores.Store, err error) {
	s := &store{path: "/" + index}
	fields := object{"content": object{"type": "text", "analyzer": "english"}}
	body := object{"mappings": object{"dynamic": "strict", "properties": fields}}
	if *elastic {
		s.client, err = elasticsearch.New(elasticsearch.WithAddresses(address))
		s.vectors = "?_source_exclude_vectors=false"
		s.nearest = func(query []float32, k int) object {
			return object{"knn": object{"field": "vector", "query_vector": query, "k": k, "num_candidates": max(k, 100)}}
		}
		fields["vector"] = object{"type": "dense_vector", "dims": dim, "similarity": "dot_product"}
	} else {
		s.client, err = opensearch.NewClient(opensearch.Config{Addresses: []string{address}})
		s.nearest = func(query []float32, k int) object {
			return object{"query": object{"knn": object{"vector": object{"vector": query, "k": max(k, 100)}}}}
		}
		body["settings"] = object{"index.knn": true}
		method := object{"name": "hnsw", "space_type": "innerproduct", "engine": "lucene"}
		fields["vector"] = object{"type": "knn_vector", "dimension": dim, "method": method}
	}
	if err == nil {
		_, err = s.do(ctx, http.MethodPut, "", body)
	}
	return s, err
}

func (s *store) Count(ctx context.Context) (int, error) {
	r, err := s.do(ctx, http.MethodGet, "/_count")
	return r.Count, err
}

func (s *store) Write(ctx context.Context, passages []retort.Passage, vectors blas32.General) error {
	var lines []any
	for i, p := range passages {
		vector := vectors.Data[i*vectors.Stride:][:vectors.Cols]
		lines = append(lines, object{"index": object{"_id": p.ID}}, object{"content": p.Content(), "vector": vector})
	}
	r, err := s.do(ctx, http.MethodPost, "/_bulk?refresh=true", lines...)
	for _, item := range r.Items {
		if item.Index.Error != nil {
			return fmt.Errorf("passage %q: %s", item.Index.ID, item.Index.Error)
		}
	}
	return err
}

func (s *store) Vector(ctx context.Context, id string) ([]float32, error) {
	r, err := s.do(ctx, http.MethodGet, "/_doc/"+url.PathEscape(id)+s.vectors)
	return r.Source.Vector, err
}

func (s *store) Dense(ctx context.Context, query []float32, k int) ([]string, error) {
	return s.search(ctx, s.nearest(query, k), k)
}

func (s *store) Text(ctx context.Context, query string, k int) ([]string, error) {
	return s.search(ctx, object{"query": object{"match": object{"content": query}}}, k)
}

func (s *store) search(ctx context.Context, body object, k int) (ids []string, err error) {
	body["size"], body["_source"] = k, false
	r, err := s.do(ctx, http.MethodPost, "/_search", body)
	for _, h := range r.Hits.Hits {
		ids = append(ids, h.ID)
	}
	return ids, err
}

// reply holds what this program reads of any reply.
type reply struct {
	Count  int
	Source struct{ Vector []float32 } `json:"_source"`
	Hits   struct{ Hits []item }
	Items  []struct{ Index item }
}

type item struct {
	ID    string `json:"_id"`
	Error json.RawMessage
}

// do sends JSON lines about the index. That the index is there already is no error.
func (s *store) do(ctx context.Context, method, path string, lines ...any) (r reply, err error) {
	var body bytes.Buffer
	for _, line := range lines {
		if err := json.NewEncoder(&body).Encode(line); err != nil {
			return r, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.path+path, &body)
	if err != nil {
		return r, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Perform(request)
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return r, err
	}
	if response.StatusCode >= 400 && !bytes.Contains(raw, []byte("resource_already_exists_exception")) {
		return r, fmt.Errorf("%s %s: %s: %.400s", method, s.path+path, response.Status, raw)
	}
	err = json.Unmarshal(raw, &r)
	return r, err
}

func (s *store) Close() error { return nil }
