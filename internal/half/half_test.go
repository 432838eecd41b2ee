package half

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The golden files of internal/safetensors and internal/gguf hold more values, as torch and numpy widen them.

func TestHalvesWidenExactly(t *testing.T) {
	for h, want := range map[uint16]float32{
		0x0000: 0, 0x3c00: 1, 0xc100: -2.5, 0x7bff: 65504, 0x0001: 0x1p-24, 0x83ff: -0x3ffp-24, 0x0400: 0x1p-14,
		0x7c00: float32(math.Inf(1)), 0xfc00: float32(math.Inf(-1)),
	} {
		require.Equal(t, want, Float32(h), "%#04x", h)
	}
	require.True(t, math.IsNaN(float64(Float32(0x7e00))))
	require.True(t, math.Signbit(float64(Float32(0x8000))), "-0")
}

func TestBFloat16IsTheUpperHalf(t *testing.T) {
	require.Equal(t, float32(-3.140625), FromBFloat16(0xc049))
}

func TestFloatsRoundToTheNearestHalf(t *testing.T) {
	for h := range uint16(0x7c00) {
		v := Float32(h)
		require.Equal(t, h, FromFloat32(v))
		require.Equal(t, h|0x8000, FromFloat32(-v))
		next := Float32(h + 1)
		if h == 0x7bff {
			next = 65536
		}
		middle := v + (next-v)/2
		require.Equal(t, h+h&1, FromFloat32(middle), "half-way above %#04x", h)
		require.Equal(t, h, FromFloat32(math.Nextafter32(middle, 0)), "%#04x", h)
		require.Equal(t, h+1, FromFloat32(math.Nextafter32(middle, 1e6)), "%#04x", h)
	}
	require.Equal(t, uint16(0xfc00), FromFloat32(float32(math.Inf(-1))))
	nan := Float32(FromFloat32(float32(math.NaN())))
	require.True(t, nan != nan)
}
