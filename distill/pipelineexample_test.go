package distill_test

import (
	"context"
	"fmt"
	"os"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
)

// A run in a folder is called twice: the second call finds everything done. After a kill it would go on where the first
// one stopped.
func ExampleOpenFolder() {
	dir, err := os.MkdirTemp("", "run-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for range 2 {
		if err := runInFolder(context.Background(), dir); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// 2 steps trained; 6 lists
	// 0 steps trained; 6 lists
}

func runInFolder(ctx context.Context, dir string) error {
	folder, err := distill.OpenFolder(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer folder.Close()

	var passages []retort.Passage
	for i, thing := range []string{"file", "server", "string", "number", "channel", "slice"} {
		for j, act := range []string{"opens", "closes"} {
			text := fmt.Sprintf("It %s the %s that the caller names. The %s is then ready for other callers.", act, thing, thing)
			passages = append(passages, retort.Passage{ID: fmt.Sprint(i, j), Text: text})
		}
	}
	corpus, err := retort.NewCorpus(passages)
	if err != nil {
		return err
	}
	student, err := encodertest.New(encodertest.Options{}) // stands for a bert.Model, opened anew before each call
	if err != nil {
		return err
	}
	bm25, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	if err != nil {
		return err
	}
	queries, err := generate.NewExtractive(ctx, corpus, generate.Options{Types: []string{generate.TypeSentence}, Seed: 1})
	if err != nil {
		return err
	}
	steps := 0
	p := distill.Pipeline{
		Student: student, Corpus: corpus, Generator: queries, Ranker: bm25, Folder: folder,
		Mining: distill.DefaultMiningOptions(), Training: distill.DefaultOptions(),
		// Extractive does not say by itself what it is.
		Versions: map[distill.Stage]string{distill.StageGenerate: "sentences, seed 1"},
	}
	p.Training.Schedule.Epochs, p.Training.Schedule.QueriesPerStep, p.Training.Selection.DevFraction = 1, 3, 0
	p.Training.Events.Step = func(retort.Step) { steps++ }
	outcome, err := p.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d steps trained; %d lists\n", steps, len(outcome.Lists))
	return nil
}
