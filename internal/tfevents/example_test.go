package tfevents_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/retort-ir/retort/internal/tfevents"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	keepAll := func(step int64, tag string) bool { return true }
	w, err := tfevents.Append(filepath.Join(dir, "events.out.tfevents.0.example"), keepAll)
	if err != nil {
		panic(err)
	}
	err = w.Write(1, time.Now(), []tfevents.Scalar{{Tag: "train/loss", Value: 0.25}})
	fmt.Println(err, w.Close())
	// Output: <nil> <nil>
}
