package pipeline

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/mine"
)

// chosenAnalyzer opens the folder as a run with this corpus does. It returns the analyzer, the notes and the setting in the
// report. record, if it is not "", goes into the manifest in place of what was detected.
func chosenAnalyzer(t *testing.T, dir string, recipe Recipe, corpus retort.Corpus, record string) (taken string, notes []string, shown Setting) {
	t.Helper()
	folder, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, nil)
	require.NoError(t, err)
	r := &run{Recipe: recipe.WithDefaults(), student: smallStudent(t), corpus: corpus, folder: folder}
	r.events = watch(retort.Events{Note: func(text string) { notes = append(notes, text) }})
	require.NoError(t, r.hashInputs(t.Context()))
	require.NoError(t, r.chooseAnalyzer(t.Context()))
	require.NoError(t, r.describe(r.inputs))
	if record != "" {
		settings := folder.Manifest().Settings
		settings[settingDetected] = record
		require.NoError(t, folder.Describe(1, settings, r.inputs))
	}
	require.NoError(t, folder.Close())
	for _, s := range r.settings() {
		if s.Name == settingAnalyzer {
			shown = s
		}
	}
	return fmt.Sprint(r.Analyzer), notes, shown
}

func germanKettles(t *testing.T, n int) *retort.MemoryCorpus {
	t.Helper()
	var passages []retort.Passage
	for i := range n {
		passages = append(passages, retort.Passage{
			ID: fmt.Sprint("p", i), Text: fmt.Sprintf("Die Kanne %d wird mit Essig gefüllt und nach einer Stunde mit Wasser gespült.", i),
		})
	}
	corpus, err := retort.NewCorpus(passages)
	require.NoError(t, err)
	return corpus
}

func TestTheAnalyzerIsDetectedOnceARun(t *testing.T) {
	dir, corpus := t.TempDir(), germanKettles(t, 10)
	taken, notes, shown := chosenAnalyzer(t, dir, Recipe{}, corpus, "dutch")
	require.Equal(t, "german", taken)
	require.Equal(t, []string{"languages: german 100%: analyzer german"}, notes)
	require.Equal(t, Setting{Name: "analyzer", Value: "auto", Taken: "auto (german 100%: analyzer german)"}, shown)

	// As though a version had begun the run that takes this German for Dutch.
	taken, notes, shown = chosenAnalyzer(t, dir, Recipe{}, corpus, "")
	require.Equal(t, "dutch", taken)
	require.Equal(t, []string{"languages: analyzer dutch, as the run was begun"}, notes)
	require.Equal(t, "auto (analyzer dutch, as the run was begun)", shown.Taken)

	taken, _, _ = chosenAnalyzer(t, dir, Recipe{}, germanKettles(t, 11), "")
	require.Equal(t, "german", taken, "another corpus is read anew")

	taken, notes, shown = chosenAnalyzer(t, dir, Recipe{Analyzer: mine.Code()}, corpus, "")
	require.Equal(t, "code", taken)
	require.Empty(t, notes)
	require.Equal(t, Setting{Name: "analyzer", Value: "code"}, shown)
}

func TestAnAnalyzerOfAnotherVersionIsNamed(t *testing.T) {
	dir, corpus := t.TempDir(), germanKettles(t, 10)
	chosenAnalyzer(t, dir, Recipe{}, corpus, "klingon")
	folder, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, nil)
	require.NoError(t, err)
	defer folder.Close()
	r := &run{Recipe: Recipe{}.WithDefaults(), student: smallStudent(t), corpus: corpus, folder: folder, events: watch(retort.Events{})}
	require.NoError(t, r.hashInputs(t.Context()))
	require.ErrorContains(t, r.chooseAnalyzer(t.Context()), `no analyzer "klingon", only arabic, cjk, code`)
}
