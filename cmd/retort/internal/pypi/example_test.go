package pypi_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/retort-ir/retort/cmd/retort/internal/pypi"
)

// A download that is called off is an error of its context, as is the search for a Python with pip.
func ExamplePython() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := pypi.Python(ctx)
	fmt.Println(errors.Is(err, context.Canceled))
	// Output: true
}
