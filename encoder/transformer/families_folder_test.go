package transformer

import (
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
