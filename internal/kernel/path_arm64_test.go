//go:build !purego

package kernel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNEONIsAPathOfARM64(t *testing.T) { require.Contains(t, Paths(), NEON) }
