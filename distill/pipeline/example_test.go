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
	"github.com/retort-ir/retort/eval"
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

// Judged queries choose the best student. A real program opens the student with transformer.Open.
func ExampleSpecialise() {
	ctx := context.Background()
	corpus, err := guide()
	if err != nil {
		log.Fatal(err)
	}
	judged := &eval.Collection{Corpus: corpus, Qrels: eval.Qrels{}}
	for i := range corpus.Len() {
		p, err := corpus.At(i)
		if err != nil {
			log.Fatal(err)
		}
		q := retort.Query{ID: "q" + p.ID, Text: "what " + p.Title}
		judged.Queries, judged.Qrels[q.ID] = append(judged.Queries, q), map[string]int{p.ID: 1}
	}
	student, err := encodertest.New(encodertest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := pipeline.Specialise(ctx, student, corpus, pipeline.Recipe{
		Judged:   judged,
		Training: pipeline.Training{Schedule: distill.Schedule{Epochs: 5, QueriesPerStep: 8, LR: 0.01}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the teacher is better:", outcome.Check[0].Better())
	fmt.Println("chosen by:", outcome.ChosenBy)
	fmt.Println("a trained student was kept:", outcome.Kept)
	// Output:
	// the teacher is better: true
	// chosen by: nDCG@10 of the judged queries
	// a trained student was kept: true
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
	// 14 steps; The last student was kept, after 14 of 14 steps: none was chosen.
	// 0 steps; The last student was kept, after 14 of 14 steps: none was chosen.
}

// MakeQueries shows what a student would be trained on.
func ExampleMakeQueries() {
	corpus, err := retort.NewCorpus([]retort.Passage{
		{ID: "open", Title: "Open", Text: "Open opens the named file for reading. The caller closes the file after use."},
		{ID: "split", Title: "Split", Text: "Split slices a string at each separator. The result holds the text between the separators."},
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
	// open: The caller closes the file after use
	// split: The result holds the text between the separators
}

// ParseTeacher reads the text that the command takes for a teacher.
func ExampleParseTeacher() {
	expression, err := pipeline.ParseTeacher("bm25+2*crossencoder:models/minilm")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range expression {
		fmt.Println(m.Name(), "weighs", m.Weight)
	}
	// Output:
	// bm25 weighs 1
	// crossencoder minilm weighs 2
}
