// Package retort holds the nouns that every room of the library shares: [Passage], [Query], [List] and [Corpus], and
// their form on disk, JSON Lines. Nothing in it computes.
//
// Retort makes an existing dense retriever good at your corpus: listwise distillation with synthetic queries (Tamber et
// al. 2025, arXiv 2502.19712). No judged queries are needed, nor a language model or a cross-encoder: the
// teacher may be BM25 and the encoder itself, fused.
//
// # One way through
//
//		corpus ─► generate ─► mine ─► teacher ─► distill ─► eval
//		          queries     lists   scores     student    before / after
//
//	  - Package generate invents queries for the passages, out of their own words or by a language model, which runs here
//	    (generate/causallm) or behind an API (generate/openai).
//	  - Package mine ranks the corpus for each query, drops queries that do not find their own passage, and cuts candidate
//	    lists out of the rankings.
//	  - Package teacher scores each list and calibrates the scores; teacher/crossencoder, teacher/likelihood and
//	    teacher/rerankapi are stronger teachers than BM25 and the student.
//	  - Packages encoder (what a model must do) and encoder/bert (one that does, on LibTorch) hold the student.
//	  - Packages loss and distill train it to reproduce the scores. [distill.Pipeline] joins all stages so far.
//	  - Package eval measures rankings against judgements as trec_eval does, and says whether a difference is more than chance.
//
// Every arrow is one plain type, in memory and on disk, so that each stage can be run alone or replaced by one's own
// file or function. The program examples/specialise is the whole way in one function; the command retort does the same
// from a shell.
//
// # LibTorch
//
// Models compute on LibTorch (encoder/bert, teacher/crossencoder, generate/causallm), and only in a program built with
// the tag libtorch. Without the tag everything compiles and opening a model returns [ErrNoLibTorch]. The command sets a
// machine up:
//
//	go install github.com/retort-ir/retort/cmd/retort@latest
//	retort libtorch install
//	eval "$(retort libtorch env)"
//	go build ./...
//
// [distill.Pipeline]: https://pkg.go.dev/github.com/retort-ir/retort/distill#Pipeline
package retort
