package ctxio_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/ctxio"
)

func TestAReaderEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := ctxio.NewReader(ctx, strings.NewReader("one fish, two fish"))
	head := make([]byte, 8)
	_, err := io.ReadFull(r, head)
	require.NoError(t, err)
	require.Equal(t, "one fish", string(head))
	cancel()
	_, err = r.Read(head)
	require.ErrorIs(t, err, context.Canceled)
}
