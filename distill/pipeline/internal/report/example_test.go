package report_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/distill/pipeline/internal/report"
)

func Example() {
	run, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(run)
	err = report.Save(run, report.Data{
		Title:  "support tickets",
		Stages: []report.Stage{{Name: "train", Seconds: 148, Records: 372, Unit: "steps"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := report.Load(filepath.Join(run, report.DataFile))
	fmt.Println(d.Title, err)
	_, err = os.Stat(filepath.Join(run, report.PageFile))
	fmt.Println(err)
	// Output:
	// support tickets <nil>
	// <nil>
}

func ExampleNewHistogram() {
	h, err := report.NewHistogram(0, 1, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, score := range []float64{0, 0.1, 0.3, 0.99, 1, 1.5} {
		h.Add(score)
	}
	fmt.Println(h.Counts, h.Above, h.Total())
	// Output: [2 1 0 2] 1 6
}
