// Package retort defines the types that all packages of the library share ([Passage], [Query], [List], [Corpus],
// [Device], [Events]) and reads and writes passages, queries and lists as JSON Lines.
//
// Retort trains an existing dense retriever on your corpus by listwise distillation with synthetic queries (Tamber et
// al. 2025, arXiv 2502.19712). It needs no judged queries, no language model and no cross-encoder: the default teacher
// is BM25, whose scores move the encoder's own similarities.
//
//	corpus, err := retort.LoadCorpus("corpus.jsonl")
//	student, err := transformer.Open(ctx, "all-MiniLM-L6-v2", transformer.Options{})
//	outcome, err := pipeline.Specialise(ctx, student, corpus, pipeline.Recipe{Folder: "runs/mine"})
//	fmt.Println(outcome.Verdict)
//
// The program examples/specialise does this and handles the errors. The command retort does the same from a shell.
//
// # Stages
//
//	corpus ─► generate ─► mine ─► teacher ─► distill ─► eval
//	          queries     lists   scores     student    before / after
//
// The packages of the stages:
//
//   - Package generate writes queries for the passages, from the passages' own words or with a language model, which
//     runs in the same process (generate/causallm) or behind an API (generate/openai).
//   - Package mine ranks the corpus for each query, drops queries that do not find their own passage, and selects
//     candidate lists from the rankings.
//   - Package teacher scores each list and calibrates the scores; teacher/crossencoder, teacher/likelihood and
//     teacher/rerankapi are stronger teachers than BM25 and the student.
//   - Package encoder defines the interface of the student; package encoder/transformer implements it for BERT models
//     and the families after it.
//   - Packages loss and distill train the student to reproduce the scores. Package distill/pipeline runs all stages in
//     order.
//   - Package eval computes the measures of trec_eval and tests whether the difference between two runs is significant.
//
// Stages exchange plain types, in memory and on disk, so each stage can run alone or be replaced by your own file or
// function.
//
// # LibTorch
//
// Training, GPUs, rerankers (teacher/crossencoder) and language models (generate/causallm) need LibTorch and a program
// built with the tag libtorch. Without the tag everything compiles and encoder/transformer encodes in pure Go; what needs
// LibTorch returns [ErrNoLibTorch]. The command installs LibTorch and prints the build environment:
//
//	go get -tool github.com/retort-ir/retort/cmd/retort
//	go tool retort libtorch install
//	eval "$(go tool retort libtorch env)"
//	go build ./...
package retort
