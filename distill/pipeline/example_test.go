package pipeline_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/generate"
)

// guide is a corpus of two sentences for each of some things.
func guide() (*retort.MemoryCorpus, error) {
	var passages []retort.Passage
	for i, thing := range []string{"file", "server", "string", "number", "channel", "slice"} {
		for j, act := range []string{"opens", "closes", "copies", "prints"} {
			text := fmt.Sprintf("It %s the %s that the caller names. The %s is then ready for other callers.", act, thing, thing)
			passages = append(passages, retort.Passage{ID: fmt.Sprint(i, j), Title: act + " a " + thing, Text: text})
		}
	}
	return retort.NewCorpus(passages)
}

// Specialise leaves the best student that it met in the student, and says which one that is. A real program opens the
// student with bert.Open.
func ExampleSpecialise() {
	corpus, err := guide()
	if err != nil {
		log.Fatal(err)
	}
	student, err := encodertest.New(encodertest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := pipeline.Specialise(context.Background(), student, corpus, pipeline.Recipe{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Funnel.Lists, "lists")
	fmt.Println(outcome.Verdict)
	// Output:
}

// A run in a folder is called twice. The second call finds everything done; after a kill it would go on where the first
// one stopped.
func ExampleRecipe() {
	dir, err := os.MkdirTemp("", "run-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	corpus, err := guide()
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		student, err := encodertest.New(encodertest.Options{}) // as it was before the run
		if err != nil {
			log.Fatal(err)
		}
		steps := 0
		recipe := pipeline.Recipe{
			Folder:   filepath.Join(dir, "mine"),
			Training: pipeline.Training{Schedule: distill.Schedule{QueriesPerStep: 4}},
			KeepLast: true,
			Events:   retort.Events{Step: func(retort.Step) { steps++ }},
		}
		outcome, err := pipeline.Specialise(context.Background(), student, corpus, recipe)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(steps, "steps;", outcome.Verdict)
	}
	// Output:
}

// MakeQueries shows what a student would be trained on.
func ExampleMakeQueries() {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "open", Title: "Open", Text: "Open opens the named file for reading."},
		{ID: "split", Title: "Split", Text: "Split slices a string into all substrings that a separator separates."},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	sentences, err := generate.NewExtractive(ctx, corpus, generate.Options{Types: []string{generate.TypeSentence}, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	queries, _, err := pipeline.MakeQueries(ctx, corpus, pipeline.Recipe{Generator: sentences})
	if err != nil {
		log.Fatal(err)
	}
	for _, q := range queries {
		fmt.Printf("%s: %s\n", q.Source, q.Text)
	}
	// Output:
}

// ParseTeacher reads the text that the command takes for a teacher.
func ExampleParseTeacher() {
	expression, err := pipeline.ParseTeacher("bm25+2*crossencoder:models/reranker")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range expression {
		fmt.Println(m.Weight, m.Kind, m.Arg)
	}
	// Output:
	// 1 bm25
	// 2 crossencoder models/reranker
}
