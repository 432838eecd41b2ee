package rerankapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/teacher"
	"github.com/retort-ir/retort/teacher/rerankapi"
)

// A cross-encoder that text-embeddings-inference serves, each score asked for once.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json") // stands for a real server
		fmt.Fprint(w, `[{"index":1,"score":7.25},{"index":0,"score":-3.5}]`)
	}))
	defer server.Close()
	dir, err := os.MkdirTemp("", "scores")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	ctx := context.Background()
	client, err := rerankapi.New(rerankapi.Options{
		Kind: "tei", URL: server.URL, Model: "BAAI/bge-reranker-base", RawScores: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	store, err := teacher.OpenStore(ctx, filepath.Join(dir, "scores.jsonl"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	reranker, err := teacher.Cached(client, store)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		scores, err := teacher.Score(ctx, reranker, retort.Query{ID: "q", Text: "close a file"}, []retort.Passage{
			{ID: "os.Open", Text: "opens the named file for reading"},
			{ID: "os.File.Close", Text: "closes a file, rendering it unusable for I/O"},
		})
		fmt.Println(scores, err)
	}
	fmt.Println(client.Requests(), "request")
	// Output:
	// [-3.5 7.25] <nil>
	// [-3.5 7.25] <nil>
	// 1 request
}
