package main

import (
	"context"
	"os"
	"testing"

	"github.com/retort-ir/retort/examples/internal/stores"
	"github.com/retort-ir/retort/examples/internal/stores/storestest"
)

// RETORT_QDRANT is the address of a Qdrant for tests. Without it they run on the double.
func TestQdrant(t *testing.T) {
	address := os.Getenv("RETORT_QDRANT")
	if address == "" {
		address = startDouble(t)
	}
	storestest.RunOnServer(t, open, address, func(ctx context.Context, s stores.Store) error {
		return s.(*store).client.DeleteCollection(ctx, s.(*store).collection)
	})
}
