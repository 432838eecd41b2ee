package report

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// luminance is WCAG 2.2's relative luminance of "#rrggbb".
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var channels [3]float64
	for i := range channels {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		c := float64(v) / 255
		if c <= 0.04045 {
			channels[i] = c / 12.92
		} else {
			channels[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*channels[0] + 0.7152*channels[1] + 0.0722*channels[2]
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrastOfWCAG(t *testing.T) {
	require.InDelta(t, 21, contrast(t, "#000000", "#ffffff"), 1e-9)
	require.InDelta(t, 4.54, contrast(t, "#767676", "#ffffff"), 0.01, "the well-known darkest grey that is enough")
}

func TestColoursAreReadableInLightAndDark(t *testing.T) {
	for _, mode := range []struct {
		name string
		of   func(colour) string
	}{
		{"light", func(c colour) string { return c.light }},
		{"dark", func(c colour) string { return c.dark }},
	} {
		for _, ground := range []colour{paper, panel} {
			for _, text := range []colour{ink, muted, better, worse} {
				require.GreaterOrEqual(t, contrast(t, mode.of(text), mode.of(ground)), 4.5, "%s text on %s, %s", text.name, ground.name, mode.name)
			}
		}
		for _, data := range []colour{better, worse, neutral} {
			require.GreaterOrEqual(t, contrast(t, mode.of(data), mode.of(paper)), 3.0, "%s, %s", data.name, mode.name)
		}
	}
}

func TestEveryColourSurvivesTheDrawing(t *testing.T) {
	for _, c := range palette {
		r, g, b, _ := c.RGBA()
		require.Equal(t, "var(--"+c.name+")", themed(fmt.Sprintf("#%02X%02X%02X", r>>8, g>>8, b>>8)))
	}
}
