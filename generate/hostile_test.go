package generate

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// longSize is the length in bytes of hostile texts. RETORT_SOAK=1 makes them longer.
func longSize() int {
	if os.Getenv("RETORT_SOAK") != "" {
		return 1 << 18
	}
	return 1 << 14
}

// longTexts are long texts that a corpus or a model's answer may hold.
func longTexts() map[string]string {
	texts := map[string]string{}
	for name, unit := range map[string]string{
		"letters": "a", "words": "word ", "marks": "\u0301", "spaces": " ", "newlines": "\n", "full stops": ".",
		"sentences": "Is it so? ",
		"quotes":    `"`, "brackets": "(", "closed brackets": "(a) ", "Chinese": "中", "joined emoji": "👩\u200d",
		"numbers": "1. ", "stars": "* ",
		"backticks": "`", "fences": "```\n", "hashes": "# ", "identifiers": "a.B_c", "labels": "Query: ",
		"thoughts":      "<think>",
		"open thoughts": "<think>a</think>", "dashes": "- ", "capitals": "E.g. ", "slashes": "a/", "no UTF-8": "\xff",
		"signs": "{\"",
	} {
		texts[name] = strings.Repeat(unit, longSize()/len(unit))
	}
	return texts
}

// A quadratic step would take minutes for one of these, a cubic one for the short ones too.
func TestLongTextsAreReadInLinearTime(t *testing.T) {
	e := extractive(t, articles, Options{})
	for name, text := range longTexts() {
		for what, do := range map[string]func(){
			"sentences": func() { sentencesOf(text) },
			"extractive": func() {
				_, err := e.Generate(t.Context(), retort.Passage{ID: "p", Title: text[:len(text)/8], Text: text})
				require.NoError(t, err)
			},
			"an answer":  func() { (cleaner{}).clean(text, retort.Passage{Text: "A passage of words."}) },
			"a keywords": func() { (cleaner{Type: TypeKeywords}).clean(text, retort.Passage{Text: "A passage of words."}) },
			"a passage":  func() { (cleaner{}).clean("what is a passage of words", retort.Passage{Title: text, Text: text}) },
		} {
			start := time.Now()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			do()
			runtime.ReadMemStats(&after)
			took := time.Since(start)
			require.Less(t, took, 20*time.Second, "%s of %s", what, name)
			if took > time.Second {
				t.Logf("%s of %s: %v, %d MB", what, name, took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20)
			}
		}
	}
}
