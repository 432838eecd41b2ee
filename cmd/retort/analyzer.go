package main

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/mine"
)

// analyzerAuto is the value of -analyzer that detects the language of the corpus.
const analyzerAuto = "auto"

const analyzerUsage = `
  -analyzer A           words for BM25: english, german and other languages, cjk, or code, which also splits identifiers;
                        auto: by the language of most passages (auto)`

// analyzerValues returns the values of -analyzer.
func analyzerValues() []string { return append([]string{analyzerAuto}, mine.AnalyzerNames()...) }

// openAnalyzer returns the analyzer of -analyzer. It prints a detected one that is not English, the usual case.
func openAnalyzer(
	ctx context.Context, value string, corpus retort.Corpus, p *progress.Progress,
) (mine.Analyzer, error) {
	if value != analyzerAuto {
		return mine.AnalyzerNamed(value)
	}
	analyzer, found, err := mine.DetectAnalyzer(ctx, corpus)
	if err != nil {
		return nil, err
	}
	if fmt.Sprint(analyzer) != string(retort.English) {
		p.Print("languages: " + found)
	}
	return analyzer, nil
}
