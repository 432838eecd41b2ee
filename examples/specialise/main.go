// Command specialise makes the model in ./all-MiniLM-L6-v2 good at the passages of ./corpus.jsonl (JSON Lines with _id,
// title and text). The specialised model is runs/mine/model; the page runs/mine/report.html shows what it gained.
// README.md quotes the program.
package main

import (
	"context"
	"log"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/transformer"
)

func main() {
	corpus := must(retort.LoadCorpus("corpus.jsonl"))
	student := must(transformer.Open(context.Background(), "all-MiniLM-L6-v2", transformer.Options{}))
	outcome := must(pipeline.Specialise(context.Background(), student, corpus, pipeline.Recipe{Folder: "runs/mine"}))
	log.Println(outcome.Verdict) // better, by how much and on what; or kept as it was, and why
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
