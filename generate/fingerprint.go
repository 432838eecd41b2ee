package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// extractiveVersion is raised when the same options and corpus give other queries than before.
const extractiveVersion = 1

// Fingerprint is a hash of the options, as they are filled in, and of the corpus's statistics: two generators with
// equal fingerprints make the same queries of a passage. Package distill/pipeline makes queries anew where it has changed.
func (e *Extractive) Fingerprint() string {
	o := e.options
	h := sha256.New()
	fmt.Fprintf(h, "extractive %d %q %d %d %d %d %d\n", extractiveVersion, o.Types, o.PerPassage, o.Seed, o.MinWords,
		o.MaxWords, o.MaxChars)
	fmt.Fprintf(h, "%d %t\n", e.n, e.identifiers)
	if e.others {
		fmt.Fprintf(h, "%q %q\n", e.spoken.main, e.spoken.frequent)
	}
	for _, word := range slices.Sorted(maps.Keys(e.df)) {
		fmt.Fprintf(h, "%q %d\n", word, e.df[word])
	}
	return hex.EncodeToString(h.Sum(nil))
}
