package rss_test

import (
	"fmt"

	"github.com/retort-ir/retort/internal/rss"
)

func ExamplePeak() {
	fmt.Println(rss.Peak() >= 0)
	// Output: true
}
