// Command specialise trains an encoder on the reader's own corpus in one go:
//
//	go run -tags libtorch ./examples/specialise corpus.jsonl ./all-MiniLM-L6-v2 ./specialised
//
// The corpus is JSON Lines with _id, title and text. README.md quotes specialise.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder/bert"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: specialise CORPUS.jsonl MODEL-FOLDER NEW-FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := specialise(ctx, os.Args[1], os.Args[2], os.Args[3])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "specialise:", err)
		os.Exit(1)
	}
}

func specialise(ctx context.Context, corpusFile, modelDir, outDir string) (err error) {
	corpus, err := retort.LoadCorpus(corpusFile)
	if err != nil {
		return err
	}
	student, err := bert.Open(ctx, modelDir, bert.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, student.Close()) }()
	dense, err := mine.NewDense(ctx, student, corpus, func(done, total int) { show("passages", done, total) })
	if err != nil {
		return err
	}
	bm25, err := mine.NewBM25(ctx, corpus, mine.BM25Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bm25.Close()) }()
	fusion, err := mine.NewZScoreFusion(100, bm25, dense) // each knows what the other does not
	if err != nil {
		return err
	}
	queries, err := generate.NewExtractive(ctx, corpus, generate.Options{
		Types: []string{generate.TypeSentence, generate.TypeTitle, generate.TypePhrase, generate.TypeHowTo},
	})
	if err != nil {
		return err
	}
	others, err := generate.NewExtractive(ctx, corpus, generate.Options{Types: []string{generate.TypeKeywords}})
	if err != nil {
		return err
	}
	// Queries of another type choose the best student and test it.
	heldOut, err := distill.HoldOut(ctx, corpus, others, 0, 1, true)
	if err != nil {
		return err
	}
	training := distill.DefaultOptions()
	training.Towers = distill.QueryOnly // an index of passage vectors stays valid
	training.Schedule.Epochs, training.Schedule.QueriesPerStep = 1, 64
	training.Selection.DevFraction, training.Selection.Evaluate = 0, heldOut.Choose.MRR
	training.Events.Step = func(s retort.Step) { show(distill.StageTrain, s.Step, s.Steps) }
	p := distill.Pipeline{
		Student: student, Corpus: corpus, Generator: queries, Ranker: fusion, Vectors: dense.Vectors(),
		Teacher: teacher.FromIndex(corpus, bm25), // what the student is to learn beside what it knows
		Mining:  distill.DefaultMiningOptions(), Training: training, Guard: heldOut.Test.ReciprocalRanks,
		HeldOut: heldOut.Passages, TestQueries: heldOut.Queries(), // which are not trained on
		Progress: show,
	}
	outcome, err := p.Run(ctx)
	if err != nil {
		return err
	}
	best := outcome.Training.Best
	fmt.Printf("%d lists; best after step %d: MRR@10 %.3f on held-out queries\n", outcome.Funnel.Lists, best.Step, best.Score)
	return student.Save(outDir)
}

// show says how far a stage is, ten times and at its end.
func show(stage distill.Stage, done, total int) {
	if total > 0 && (done == total || done%max(1, total/10) == 0) {
		fmt.Fprintf(os.Stderr, "%s: %d of %d\n", stage, done, total)
	}
}
