package results_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/results"
)

func Example() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	records := `{"set":"judged","system":"before","query":"q1","metrics":{"ndcg@10":0.5},"top":["b","a"]}
{"set":"judged","system":"after","query":"q1","metrics":{"ndcg@10":1},"top":["a","b"]}
`
	if err := os.WriteFile(filepath.Join(dir, results.FileName), []byte(records), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	loaded, err := results.Load(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	after := results.Of(loaded, "judged", results.After)["q1"]
	fmt.Println(after.Metrics["ndcg@10"], after.Top)
	// Output: 1 [a b]
}
