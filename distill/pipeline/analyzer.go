package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/retort-ir/retort/mine"
)

// The names of settings: the analyzer of the recipe, and the manifest's record of the one that was detected.
const (
	settingAnalyzer = "analyzer"
	settingDetected = "analyzer-detected"
)

// chooseAnalyzer detects the analyzer where the recipe has none. A run that goes on with the same corpus keeps the one
// that it detected first: another version may detect languages in another way.
func (r *run) chooseAnalyzer(ctx context.Context) error {
	if r.Analyzer != nil {
		return nil
	}
	var err error
	if r.Analyzer, r.detected, err = mine.DetectAnalyzer(ctx, r.corpus); err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	m := r.folder.Manifest()
	if had := m.Settings[settingDetected]; had != "" && m.Inputs[inputCorpus] == r.corpusHash && had != fmt.Sprint(r.Analyzer) {
		kept, err := mine.AnalyzerNamed(had)
		if err != nil {
			return fmt.Errorf("pipeline: the run was begun with another version: %w: set Recipe.Analyzer", err)
		}
		r.Analyzer, r.detected = kept, fmt.Sprintf("analyzer %s, as the run was begun", kept)
	}
	r.events.note("languages: %s", r.detected)
	return nil
}

// withAnalyzer adds to the setting of the analyzer which one the run takes.
func (r *run) withAnalyzer(settings []Setting) []Setting {
	at := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == settingAnalyzer })
	if at < 0 || r.detected == "" {
		return settings
	}
	settings = slices.Clone(settings)
	settings[at].Taken = fmt.Sprintf("%s (%s)", settings[at].Value, r.detected)
	return settings
}

func (r *run) analyzerName() string {
	if r.detected != "" {
		return "auto"
	}
	if named, ok := r.Analyzer.(fmt.Stringer); ok {
		return named.String()
	}
	return fmt.Sprintf("%T", r.Analyzer)
}
