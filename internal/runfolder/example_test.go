package runfolder_test

import (
	"context"
	"fmt"
	"os"

	"github.com/retort-ir/retort/internal/runfolder"
)

// A job of one stage is interrupted after two of three records, and goes on.
func Example() {
	dir, err := os.MkdirTemp("", "retort-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for _, limit := range []int{2, 3} {
		if err := job(dir, limit); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// goes on after 0 records
	// goes on after 2 records
	// complete
}

var layout = runfolder.Layout{Stages: map[string]map[string]runfolder.Remedy{"squares": nil}}

func job(dir string, limit int) error {
	run, err := runfolder.Open(context.Background(), dir, layout, nil)
	if err != nil {
		return err
	}
	defer run.Close()
	stage, err := run.Begin(runfolder.Spec{Name: "squares", Settings: map[string]string{"power": "2"}})
	if err != nil {
		return err
	}
	defer stage.Stop()
	fmt.Println("goes on after", stage.Count(), "records")
	for n := stage.Count(); n < limit; n++ {
		if err := stage.Append(map[string]int{"n": n, "square": n * n}); err != nil {
			return err
		}
	}
	if limit < 3 {
		return nil // interrupted
	}
	fmt.Println("complete")
	return stage.Finish()
}
