// Package ctxio reads until a context is done, so that copying or hashing a file of many gigabytes can be cancelled.
package ctxio

import (
	"context"
	"io"
)

// NewReader returns a reader of r whose Read returns the error of ctx once ctx is done.
func NewReader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
