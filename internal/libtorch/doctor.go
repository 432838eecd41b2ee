package libtorch

import (
	"context"
	"io"
)

func Doctor(ctx context.Context, home string, w io.Writer) error { return nil }
