package transformer

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// families are the folders that testdata/make_families.py wrote.
var families = []string{
	"mpnet", "roberta", "xlm-roberta", "distilbert", "gte", "new", "nomic_bert", "modernbert", "qwen3",
}

// familyFolder returns the folder of a family, below testdata.
func familyFolder(name string) string { return filepath.Join("families", name) }

// familyGolden is what testdata/make_families.py wrote beside a folder.
type familyGolden struct {
	Query, Passage struct {
		Texts      []string
		Embeddings [][]float32
	}
	Long []struct {
		Words     int
		Embedding []float32
	}
	Gradients map[string][4]float64
}

func readFamilyGolden(t testing.TB, name string) familyGolden {
	t.Helper()
	var g familyGolden
	readGolden(t, filepath.Join("testdata", familyFolder(name)+".json"), &g)
	return g
}

// longText returns a text of so many words by the rule of make_families.py.
func longText(words int) string {
	known := strings.Fields("The quick brown fox jumps over the lazy dog, again and again. " +
		"one two three four five six seven eight nine ten eleven twelve")
	text := make([]string, words)
	for i := range text {
		text[i] = known[(i*i+3*i)%len(known)]
	}
	return strings.Join(text, " ")
}

// familyUpstream returns the gradient of the loss with respect to the embeddings by the rule of make_families.py.
func familyUpstream(rows, width int) [][]float32 {
	grad := make([][]float32, rows)
	for i := range grad {
		grad[i] = make([]float32, width)
		for j := range grad[i] {
			grad[i][j] = float32(math.Cos(float64(7*i + j + 1)))
		}
	}
	return grad
}

// projections returns the L2 norm of a gradient and its scalar products with cos(k (i + 1)), k = 1, 2, 3.
func projections(g []float32) (p [4]float64) {
	for i, v := range g {
		p[0] += float64(v) * float64(v)
		for k := 1; k < 4; k++ {
			p[k] += float64(v) * math.Cos(float64(k)*float64(i+1))
		}
	}
	p[0] = math.Sqrt(p[0])
	return p
}

func TestFoldersOfEveryFamilyAreRead(t *testing.T) {
	for _, name := range families {
		t.Run(name, func(t *testing.T) {
			f, err := ReadFolder(filepath.Join("testdata", familyFolder(name)), Options{})
			require.NoError(t, err)
			require.Empty(t, f.notes)
			tokens := 24
			if len(readFamilyGolden(t, name).Long) > 0 {
				tokens = 1200
			}
			require.Equal(t, tokens, f.Query.Tokens)
			require.Equal(t, name, f.Query.Tower.config.ModelType)
		})
	}
}
