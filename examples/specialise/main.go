// Command specialise makes the model in ./all-MiniLM-L6-v2 good at the passages of ./corpus.jsonl (JSON Lines with _id,
// title and text). The specialised model is runs/mine/model; the page runs/mine/report.html shows what it gained.
// README.md quotes it.
package main

import (
	"context"
	"errors"
	"log"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/bert"
)

func main() {
	corpus, err := retort.LoadCorpus("corpus.jsonl")
	student, err2 := bert.Open(context.Background(), "all-MiniLM-L6-v2", bert.Options{})
	if err := errors.Join(err, err2); err != nil {
		log.Fatal(err)
	}
	outcome, err := pipeline.Specialise(context.Background(), student, corpus, pipeline.Recipe{Folder: "runs/mine"})
	if err != nil {
		log.Fatal(err)
	}
	log.Println(outcome.Verdict) // better, by how much and on what; or kept as it was, and why
}
