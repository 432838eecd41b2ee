package main

import (
	"testing"

	"github.com/retort-ir/retort/examples/internal/stores/storestest"
)

func TestSQLite(t *testing.T) {
	storestest.Run(t, open, func(t *testing.T) string { return t.TempDir() })
}
